// What WeightFile is opened from and consists of. files/ implements it and is loaded by the first open.
import type { StoredTensor } from './safetensors';
import type { Tensor } from './tensor';
import type { WebAbortSignal, WebBlob, WebFetch, WebUrl } from './web_types';

type Part = WebBlob | ArrayBuffer | ArrayBufferView | string | WebUrl;
export type WeightFileSource = Part | SharedArrayBuffer | readonly Part[];

export interface OpenOptions {
  /** Ends the opening and all reads of the file: they reject with AbortedError. */
  signal?: WebAbortSignal;
  /** Used for all requests, for example with headers of your own. Default: the global fetch. */
  fetch?: WebFetch;
  /**
   * The time in milliseconds that a request may take to answer, or to send more bytes. Then it fails with
   * WeightsError. Default 30000.
   */
  timeout?: number;
}

/** What an open file consists of. */
export interface FileContent {
  readonly tensors: readonly StoredTensor[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Reads tensors. Nearby ones are read together. */
  readBytes(tensors: readonly StoredTensor[]): Promise<Uint8Array[]>;
  readTensor(tensor: StoredTensor): Promise<Tensor>;
  close(): void;
}
