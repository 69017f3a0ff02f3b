/** The worker's door: starts the model, then hands every command to the generator. */
import { messageOf } from '../../shared/message_of';
import type { Command, News } from '../messages';
import { Generator, type Tell } from './generator';
import { startDenoiser } from './start_denoiser';

const tell: Tell = (news, transfer = []) => self.postMessage(news satisfies News, { transfer });
const generator = start();

self.onmessage = async ({ data }: MessageEvent<Command>) => {
  try {
    (await generator)?.obey(data);
  } catch (error) {
    tell({ kind: 'error', message: messageOf(error) });
  }
};

async function start(): Promise<Generator | undefined> {
  try {
    const { runtime, load } = await startDenoiser();
    return new Generator(load, runtime, tell);
  } catch (error) {
    tell({ kind: 'failed', message: messageOf(error) });
    return undefined;
  }
}
