// Types of the web platform in public declarations. They resolve to the program's own, and to a minimum in
// programs that compile without the DOM library.

export type WebUrl = typeof globalThis extends { URL: { prototype: infer T } }
  ? T
  : { readonly href: string };

export type WebBlob = typeof globalThis extends { Blob: { prototype: infer T } }
  ? T
  : {
      readonly size: number;
      slice(begin?: number, end?: number): { arrayBuffer(): Promise<ArrayBuffer> };
    };

export type WebAbortSignal = typeof globalThis extends { AbortSignal: { prototype: infer T } }
  ? T
  : { readonly aborted: boolean; readonly reason: unknown; addEventListener(...args: unknown[]): void };

export type WebFetch = typeof globalThis extends { fetch: infer T }
  ? T
  : (url: string, options?: object) => Promise<object>;
