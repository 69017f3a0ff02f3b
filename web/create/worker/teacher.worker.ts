/** The teacher's door: one lesson comes in, its course and what was learned go out. */
import { messageOf } from '../message-of.ts';
import type { Lesson, TeacherNews } from '../teach/messages.ts';
import { startDenoiser } from './start.ts';
import { teach } from './teacher.ts';

const started = startDenoiser();

self.onmessage = async ({ data }: MessageEvent<Lesson>) => {
  const tell = (news: TeacherNews, transfer: Transferable[] = []): void =>
    self.postMessage(news, { transfer });
  try {
    teach((await started).load(), data, tell);
  } catch (error) {
    tell({ kind: 'failed', message: messageOf(error) });
  }
};
