/** Scales picture files to the model's size, in a worker because a photograph would block the page. */
import { messageOf } from '../../shared/message_of';
import { decodePicture } from '../../shared/picture_source';
import type { Pixels } from '../pixels';

export interface ReadRequest {
  readonly id: number;
  readonly file: File;
  readonly size: number;
}

export type ReadResult =
  { readonly id: number; readonly pixels: Pixels } | { readonly id: number; readonly error: string };

self.onmessage = async ({ data: { id, file, size } }: MessageEvent<ReadRequest>) => {
  const post = (result: ReadResult): void => self.postMessage(result);
  try {
    post({ id, pixels: (await decodePicture(file)).at(size).pixels });
  } catch (error) {
    post({ id, error: messageOf(error) });
  }
};
