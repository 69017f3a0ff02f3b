/**
 * Messages from the page to the generator's worker, and events from the worker to the page. The worker
 * computes everything; the page only shows it.
 */
import type { DenoiserRuntimeInfo } from 'diffusion-cross-attention/denoiser';
import type { PictureRequest } from './request';

/** The attention that the maps show. Default: the mean of all blocks and all heads. */
export interface MapChoice {
  readonly block?: number;
  readonly head?: number;
}

/** From the page to the generator. `run` numbers the pictures; events of an earlier picture are ignored. */
export type GeneratorMessage =
  | { readonly kind: 'generate'; readonly run: number; readonly request: PictureRequest }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'chooseMaps'; readonly choice: MapChoice }
  | { readonly kind: 'check'; readonly prompt: string }
  | { readonly kind: 'surprise'; readonly seed: number }
  | { readonly kind: 'loadWords'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'removeWords' };

/** From the generator to the page. */
export type GeneratorEvent =
  | ReadyEvent
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'error'; readonly message: string }
  | { readonly kind: 'started'; readonly run: number; readonly words: readonly string[] }
  | FrameEvent
  | FinishedEvent
  /** The picture was cancelled, replaced or failed. */
  | { readonly kind: 'stopped'; readonly run: number }
  | { readonly kind: 'maps'; readonly run: number; readonly maps: readonly WordMaps[] }
  | CheckedEvent
  | { readonly kind: 'scene'; readonly prompt: string }
  | WordsEvent;

export interface ReadyEvent {
  readonly kind: 'ready';
  readonly runtime: DenoiserRuntimeInfo;
  readonly isolated: boolean;
  readonly blocks: number;
  readonly heads: number;
  readonly parameterCount: number;
  /** Since the worker started. */
  readonly seconds: number;
}

/** How much each position of the picture attends to each word. */
export interface WordMaps {
  /** Positions along a side. */
  readonly size: number;
  /**
   * One map of size × size bytes per word. Each is scaled so that its maximum is 255 and, unless it is nearly
   * flat, its minimum is 0.
   */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Per word: the maximum attention of any position, 0 to 1. */
  readonly peaks: readonly number[];
}

export interface FrameEvent {
  readonly kind: 'frame';
  readonly run: number;
  /** Steps done: 1 to `steps`. */
  readonly step: number;
  readonly steps: number;
  /** RGBA bytes of the current estimate of the picture. */
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
  readonly maps: WordMaps;
  /** Mean time of a step. */
  readonly milliseconds: number;
}

export interface FinishedEvent {
  readonly kind: 'finished';
  readonly run: number;
  readonly seconds: number;
  /** Mean time of a step. */
  readonly milliseconds: number;
}

/** A prompt, split into words as the model reads it. */
export interface CheckedEvent {
  readonly kind: 'checked';
  readonly prompt: string;
  readonly words: readonly string[];
  readonly unknown: readonly string[];
  readonly maxWords: number;
}

/** The model's vocabulary. `learned`: the words of it that the visitor taught the model. */
export interface WordsEvent {
  readonly kind: 'words';
  readonly vocabulary: readonly string[];
  readonly learned: readonly string[];
}
