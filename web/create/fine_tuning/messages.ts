/** What the page and the teacher's worker say to each other. The worker gives one lesson, and ends with it. */
import type { Pixels } from '../pixels';

export const PICTURES = { least: 4, most: 16 } as const;
export const LESSON_SECONDS = [30, 60, 85, 120, 180] as const;
export const FIRST_LESSON_SECONDS = 85;

export interface Lesson {
  readonly word: string;
  /** The known word that it begins like. */
  readonly like: string;
  /** RGBA bytes, each as large as the model's pictures. */
  readonly pictures: readonly Pixels[];
  /** Of each picture those that may be said of it, with the word in them. */
  readonly captions: readonly (readonly string[])[];
  readonly seconds: number;
}

export type TeacherNews =
  | LessonNews
  /** RGBA bytes of what the model draws by now when it is asked for the first picture's caption. */
  | { readonly kind: 'preview'; readonly pixels: Pixels }
  /** The word and all that was learned for it, as a safetensors file. */
  | { readonly kind: 'taught'; readonly word: string; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'failed'; readonly message: string };

export interface LessonNews {
  readonly kind: 'lesson';
  readonly step: number;
  /** Of the lesson's time. */
  readonly seconds: number;
  /** Mean of the steps since the last news. */
  readonly loss: number;
}
