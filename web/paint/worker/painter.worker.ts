/** The worker's door: starts the package, then hands every command to the painter. */
import { init } from 'diffusion-cross-attention';
import { wantedThreads } from '../../shared/default_threads';
import type { Command, News } from '../messages';
import { Painter, type Tell } from './painter';

const tell: Tell = (news, transfer = []) => self.postMessage(news satisfies News, { transfer });
const painter = start();

self.onmessage = async ({ data }: MessageEvent<Command>) => {
  try {
    await (await painter)?.obey(data);
  } catch (error) {
    tell({ kind: 'error', message: messageOf(error) });
  }
};

async function start(): Promise<Painter | undefined> {
  try {
    const runtime = await init({ threads: wantedThreads(), device: 'wasm' });
    tell({ kind: 'runtime', runtime, isolated: self.crossOriginIsolated });
    return new Painter(tell);
  } catch (error) {
    tell({ kind: 'failed', message: messageOf(error) });
    return undefined;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
