/** Brings picture files to the model's size: a photograph takes longer to shrink than a page may be busy. */
import { decodePicture } from '../../shared/picture_source';
import { messageOf } from '../../shared/message_of';
import type { Pixels } from '../pixels';

export interface FileQuestion {
  readonly id: number;
  readonly file: File;
  readonly size: number;
}

export type FileAnswer =
  { readonly id: number; readonly pixels: Pixels } | { readonly id: number; readonly error: string };

self.onmessage = async ({ data: { id, file, size } }: MessageEvent<FileQuestion>) => {
  const tell = (answer: FileAnswer): void => self.postMessage(answer);
  try {
    tell({ id, pixels: (await decodePicture(file)).at(size).pixels });
  } catch (error) {
    tell({ id, error: messageOf(error) });
  }
};
