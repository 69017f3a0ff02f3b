/**
 * All that the page and the painter's worker say to each other. The page never computes and the worker never
 * touches the document; this file is the border.
 */
import type { RuntimeInfo } from 'diffusion-cross-attention';

export const PICTURE_SIZES = [32, 48, 64, 96] as const;
export const CONTEXT_LENGTHS = [8, 16, 32, 64] as const;
export const HEAD_COUNTS = [1, 2, 4, 8] as const;

/** What the visitor may choose about the model; each change begins the painting anew. */
export interface Configuration {
  /** Pixels along a side of the picture. */
  readonly size: number;
  /** Number of context vectors. */
  readonly contextLength: number;
  readonly heads: number;
}

/** One head by default: then every context vector stands for one colour, and its map shows where that goes. */
export const FIRST_CONFIGURATION: Configuration = { size: 64, contextLength: 32, heads: 1 };

/** What the page asks of the painter. */
export type Command =
  | { readonly kind: 'paintSample' }
  | { readonly kind: 'paintPicture'; readonly file: File }
  | { readonly kind: 'configure'; readonly change: Partial<Configuration> }
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  | { readonly kind: 'restart' }
  | { readonly kind: 'save' }
  | { readonly kind: 'load'; readonly file: File };

/** 'finished': the planned steps are done; resuming plans some more. */
export type PainterStatus = 'training' | 'paused' | 'finished';

/** What the painter tells the page. */
export type News =
  | { readonly kind: 'runtime'; readonly runtime: RuntimeInfo; readonly isolated: boolean }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'error'; readonly message: string }
  | TargetNews
  | ProgressNews
  | AttentionNews
  | { readonly kind: 'status'; readonly status: PainterStatus }
  | { readonly kind: 'saved'; readonly bytes: Uint8Array<ArrayBuffer>; readonly fileName: string };

/** A new picture is being painted, from the start or from loaded weights: the old curves no longer hold. */
export interface TargetNews {
  readonly kind: 'target';
  readonly name: string;
  readonly configuration: Configuration;
  /** RGBA bytes. */
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
}

export interface ProgressNews {
  readonly kind: 'progress';
  readonly step: number;
  readonly plannedSteps: number;
  /** Time spent training; pauses do not count. */
  readonly seconds: number;
  /** NaN until there is something to measure. */
  readonly stepsPerSecond: number;
  /** Mean squared error over the latest batches, colours from 0 to 1; NaN before the first. */
  readonly loss: number;
  /** Of the whole painting, in dB. */
  readonly psnr: number;
  readonly size: number;
  /** RGBA bytes of the painting. */
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
}

export interface AttentionNews {
  readonly kind: 'attention';
  readonly size: number;
  /** One map of size × size bytes per context vector, each scaled so that its own peak is 255. */
  readonly maps: Uint8Array<ArrayBuffer>;
  /** Per context vector: the part of all the attention that goes to it. Adds up to 1. */
  readonly shares: readonly number[];
  /** Per context vector: the most that any pixel attends to it, 0 to 1. */
  readonly peaks: readonly number[];
  /** Per context vector: the colour of a pixel that attends to nothing else, RGB bytes. */
  readonly colours: Uint8ClampedArray<ArrayBuffer>;
}
