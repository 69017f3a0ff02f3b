// Types of the platform that occur in the package's declarations. lib.dom, @types/node or @webgpu/types
// declare them in one program and not in another, so each is the program's own type if there is one, else
// what the package needs of it. So a program for Node needs no browser types.

type Known = typeof globalThis;

/** The instances of a global class, or `Otherwise` if the program does not declare it. */
type InstanceOf<Name extends string, Otherwise> =
  Known extends Record<Name, { prototype: infer Instance }> ? Instance : Otherwise;

/** URL. */
export type UsersUrl = InstanceOf<'URL', { readonly href: string }>;

/** Blob, which includes File. */
export type UsersBlob = InstanceOf<
  'Blob',
  { readonly size: number; slice(start?: number, end?: number): unknown; arrayBuffer(): Promise<ArrayBuffer> }
>;

/** AbortSignal. */
export type UsersSignal = InstanceOf<
  'AbortSignal',
  { readonly aborted: boolean; addEventListener(type: 'abort', listener: () => void): void }
>;

/** The type of fetch. */
export type UsersFetch = Known extends { fetch: infer Fetch }
  ? Fetch
  : (url: string, options?: object) => Promise<object>;

/** GPUBuffer, or unknown without WebGPU's types. */
export type UsersBuffer = InstanceOf<'GPUBuffer', unknown>;

/** GPUDevice, or unknown without WebGPU's types. */
export type UsersDevice = InstanceOf<'GPUDevice', unknown>;
