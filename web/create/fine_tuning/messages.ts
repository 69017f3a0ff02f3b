/** The request and the events of the fine-tuning worker. A worker serves one request. */
import type { Pixels } from '../pixels';

/** Allowed number of training pictures. */
export const pictureCount = { min: 4, max: 16 } as const;
export const trainingSecondsChoices = [30, 60, 85, 120, 180] as const;
export const initialTrainingSeconds = 85;

export interface FineTuningRequest {
  readonly word: string;
  /** The known word whose embedding the new word starts from. */
  readonly like: string;
  /** RGBA bytes, in the size of the model's pictures. */
  readonly pictures: readonly Pixels[];
  /** Per picture: one or more captions that contain the word. */
  readonly captions: readonly (readonly string[])[];
  /** Duration of the training. */
  readonly seconds: number;
}

export type FineTuningEvent =
  | FineTuningProgressEvent
  /** RGBA bytes of what the model currently draws for the first picture's caption. */
  | { readonly kind: 'preview'; readonly pixels: Pixels }
  /** The learned word as a safetensors file: its embedding and the LoRA updates. */
  | { readonly kind: 'finished'; readonly word: string; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'failed'; readonly message: string };

export interface FineTuningProgressEvent {
  readonly kind: 'progress';
  readonly step: number;
  /** Since the training started. */
  readonly seconds: number;
  /** Mean of the steps since the previous event. */
  readonly loss: number;
}
