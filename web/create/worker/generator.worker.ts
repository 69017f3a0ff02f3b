/** The entry point of the generator's worker: loads the model and passes every message to the generator. */
import { messageOf } from '../../shared/message_of';
import type { GeneratorMessage, GeneratorEvent } from '../messages';
import { Generator, type Post } from './generator';
import { startDenoiser } from './start_denoiser';

const post: Post = (event, transfer = []) => self.postMessage(event satisfies GeneratorEvent, { transfer });
const generator = start();

self.onmessage = async ({ data }: MessageEvent<GeneratorMessage>) => {
  try {
    (await generator)?.handle(data);
  } catch (error) {
    post({ kind: 'error', message: messageOf(error) });
  }
};

async function start(): Promise<Generator | undefined> {
  try {
    const { runtime, load } = await startDenoiser();
    return new Generator(load, runtime, post);
  } catch (error) {
    post({ kind: 'failed', message: messageOf(error) });
    return undefined;
  }
}
