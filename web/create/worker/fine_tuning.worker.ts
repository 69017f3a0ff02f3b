/** The entry point of the fine-tuning worker: receives one request, and posts progress and the result. */
import { messageOf } from '../../shared/message_of';
import type { FineTuningEvent, FineTuningRequest } from '../fine_tuning/messages';
import { fineTune } from './fine_tuning';
import { startDenoiser } from './start_denoiser';

const started = startDenoiser();

self.onmessage = async ({ data }: MessageEvent<FineTuningRequest>) => {
  const post = (event: FineTuningEvent, transfer: Transferable[] = []): void =>
    self.postMessage(event, { transfer });
  try {
    fineTune((await started).load(), data, post);
  } catch (error) {
    post({ kind: 'failed', message: messageOf(error) });
  }
};
