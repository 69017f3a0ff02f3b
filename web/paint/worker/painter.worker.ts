/** The entry point of the painter's worker: starts the package and passes every message to the painter. */
import { init } from 'diffusion-cross-attention';
import { defaultThreads } from '../../shared/default_threads';
import { messageOf } from '../../shared/message_of';
import type { PainterMessage, PainterEvent } from '../messages';
import { Painter, type Post } from './painter';

const post: Post = (event, transfer = []) => self.postMessage(event satisfies PainterEvent, { transfer });
const painter = start();

self.onmessage = async ({ data }: MessageEvent<PainterMessage>) => {
  try {
    await (await painter)?.handle(data);
  } catch (error) {
    post({ kind: 'error', message: messageOf(error) });
  }
};

async function start(): Promise<Painter | undefined> {
  try {
    const runtime = await init({ threads: defaultThreads(), device: 'wasm' });
    post({ kind: 'runtime', runtime, isolated: self.crossOriginIsolated });
    return new Painter(post);
  } catch (error) {
    post({ kind: 'failed', message: messageOf(error) });
    return undefined;
  }
}
