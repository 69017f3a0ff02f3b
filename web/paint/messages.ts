/**
 * Messages from the page to the painter's worker, and events from the worker to the page. The worker computes
 * everything; the page only shows it.
 */
import type { RuntimeInfo } from 'diffusion-cross-attention';

export const pictureSizes = [32, 48, 64, 96] as const;
export const contextLengths = [8, 16, 32, 64] as const;
export const headCounts = [1, 2, 4, 8] as const;

/** The visitor's choices for the model. Each change restarts the painting. */
export interface Configuration {
  /** Pixels along a side of the picture. */
  readonly size: number;
  /** Number of context vectors. */
  readonly contextLength: number;
  readonly heads: number;
}

/** With one head, every context vector stands for one colour, and its map shows where that colour is used. */
export const initialConfiguration: Configuration = { size: 64, contextLength: 32, heads: 1 };

/** From the page to the painter. */
export type PainterMessage =
  | { readonly kind: 'paintSample' }
  | { readonly kind: 'paintPicture'; readonly file: File }
  | { readonly kind: 'configure'; readonly change: Partial<Configuration> }
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  | { readonly kind: 'restart' }
  | { readonly kind: 'save' }
  | { readonly kind: 'load'; readonly file: File };

/** 'finished': the planned steps are done; 'resume' then plans another round. */
export type PainterStatus = 'training' | 'paused' | 'finished';

/** From the painter to the page. */
export type PainterEvent =
  | { readonly kind: 'runtime'; readonly runtime: RuntimeInfo; readonly isolated: boolean }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'error'; readonly message: string }
  | TargetEvent
  | TrainingProgressEvent
  | AttentionEvent
  | { readonly kind: 'status'; readonly status: PainterStatus }
  | { readonly kind: 'saved'; readonly bytes: Uint8Array<ArrayBuffer>; readonly fileName: string };

/** A new painting was started or loaded: the earlier curves are obsolete. */
export interface TargetEvent {
  readonly kind: 'target';
  readonly name: string;
  readonly configuration: Configuration;
  /** RGBA bytes. */
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
}

export interface TrainingProgressEvent {
  readonly kind: 'progress';
  readonly step: number;
  readonly plannedSteps: number;
  /** Time spent training, without pauses. */
  readonly seconds: number;
  /** NaN before the first measurement. */
  readonly stepsPerSecond: number;
  /** Mean squared error over the latest batches, with colours from 0 to 1; NaN before the first batch. */
  readonly loss: number;
  /** Peak signal-to-noise ratio of the whole painting, in dB. */
  readonly psnr: number;
  readonly size: number;
  /** RGBA bytes of the painting. */
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
}

export interface AttentionEvent {
  readonly kind: 'attention';
  readonly size: number;
  /** One map of size × size bytes per context vector, each scaled so that its maximum is 255. */
  readonly maps: Uint8Array<ArrayBuffer>;
  /** Per context vector: its share of all attention. The shares add up to 1. */
  readonly shares: readonly number[];
  /** Per context vector: the maximum attention of any pixel, 0 to 1. */
  readonly peaks: readonly number[];
  /** Per context vector: the colour of a pixel that attends to this vector only, RGB bytes. */
  readonly colours: Uint8ClampedArray<ArrayBuffer>;
}
