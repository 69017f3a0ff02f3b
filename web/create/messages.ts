/**
 * All that the page and the generator's worker say to each other. The page never computes and the worker never
 * touches the document; this file is the border.
 */
import type { DenoiserRuntimeInfo } from 'diffusion-cross-attention/denoiser';
import type { PictureRequest } from './request';

/** Which attention is looked at; all blocks, all heads where none is named. */
export interface MapChoice {
  readonly block?: number;
  readonly head?: number;
}

/** What the page asks of the generator. `run` numbers the pictures, so that late news of an earlier one are told apart. */
export type Command =
  | { readonly kind: 'generate'; readonly run: number; readonly request: PictureRequest }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'chooseMaps'; readonly choice: MapChoice }
  | { readonly kind: 'check'; readonly prompt: string }
  | { readonly kind: 'surprise'; readonly seed: number }
  | { readonly kind: 'learn'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'forget' };

/** What the generator tells the page. */
export type News =
  | ReadyNews
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'error'; readonly message: string }
  | { readonly kind: 'started'; readonly run: number; readonly words: readonly string[] }
  | FrameNews
  | FinishedNews
  /** Before it was finished, for whatever reason. */
  | { readonly kind: 'stopped'; readonly run: number }
  | { readonly kind: 'maps'; readonly run: number; readonly maps: readonly WordMaps[] }
  | CheckedNews
  | { readonly kind: 'scene'; readonly prompt: string }
  | WordsNews;

export interface ReadyNews {
  readonly kind: 'ready';
  readonly runtime: DenoiserRuntimeInfo;
  readonly isolated: boolean;
  readonly blocks: number;
  readonly heads: number;
  readonly parameterCount: number;
  /** From the worker's start. */
  readonly seconds: number;
}

/** How much each place of the picture has attended to each word. */
export interface WordMaps {
  /** Places along a side. */
  readonly size: number;
  /** One map of size × size bytes a word, each scaled so that its own peak is 255, and its least, where it is not nearly flat, 0. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** A word: the most that any place attends to it, 0 to 1. */
  readonly peaks: readonly number[];
}

export interface FrameNews {
  readonly kind: 'frame';
  readonly run: number;
  /** Done so far: 1 … steps. */
  readonly step: number;
  readonly steps: number;
  /** RGBA bytes of the picture as it is estimated now. */
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
  readonly maps: WordMaps;
  /** Of a step, on average. */
  readonly milliseconds: number;
}

export interface FinishedNews {
  readonly kind: 'finished';
  readonly run: number;
  readonly seconds: number;
  readonly milliseconds: number;
}

/** A prompt as the model would see it. */
export interface CheckedNews {
  readonly kind: 'checked';
  readonly prompt: string;
  readonly words: readonly string[];
  readonly unknown: readonly string[];
  readonly mostWords: number;
}

/** What the generator knows; `learned`: those of it that a visitor has taught. */
export interface WordsNews {
  readonly kind: 'words';
  readonly vocabulary: readonly string[];
  readonly learned: readonly string[];
}
