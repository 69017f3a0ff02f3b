/** The teacher's door: one lesson comes in, its course and what was learned go out. */
import { messageOf } from '../../shared/message_of';
import type { Lesson, TeacherNews } from '../fine_tuning/messages';
import { startDenoiser } from './start_denoiser';
import { teach } from './fine_tuning';

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
