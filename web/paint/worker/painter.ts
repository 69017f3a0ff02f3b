import { messageOf } from '../../shared/message_of';
import { nextTask } from '../../shared/next_task';
import { decodePicture, restorePicture, type PictureSource } from '../../shared/picture_source';
import {
  initialConfiguration,
  type PainterEvent,
  type PainterMessage,
  type PainterStatus,
} from '../messages';
import { Painting } from './painting';
import { samplePicture } from './sample_picture';
import { Stopwatch } from './stopwatch';
import { loadPainting, savePainting } from './weights_file';

/** How long the painter trains before it handles messages again. */
const sliceMilliseconds = 25;
/** Rendering the painting interrupts the training: at most this often, and at most a tenth of the time. */
const renderIntervalMilliseconds = 125;
const attentionIntervalMilliseconds = 500;
const maxShareOfTime = 0.1;
/** Far above the size of a saved painting. Keeps large files that were dropped by mistake out of memory. */
const maxWeightsFileBytes = 64e6;

export type Post = (event: PainterEvent, transfer?: Transferable[]) => void;

/** Paints one picture at a time: handles messages and posts its progress. */
export class Painter {
  readonly #post: Post;
  readonly #stopwatch = new Stopwatch();
  readonly #rendering = new Pacer(renderIntervalMilliseconds);
  readonly #attention = new Pacer(attentionIntervalMilliseconds);
  #source: PictureSource = samplePicture;
  #configuration = initialConfiguration;
  #painting: Painting | undefined;
  #status: PainterStatus = 'paused';
  #isLooping = false;
  #losses: number[] = [];
  /** Counts requests that replace the picture, so that a slow one cannot replace a later one. */
  #request = 0;

  constructor(post: Post) {
    this.#post = post;
  }

  async handle(message: PainterMessage): Promise<void> {
    switch (message.kind) {
      case 'paintSample':
        this.#request++;
        this.#start(samplePicture);
        break;
      case 'paintPicture': {
        const request = ++this.#request;
        const source = await decodePicture(message.file);
        if (request === this.#request) this.#start(source);
        break;
      }
      case 'configure':
        this.#configuration = { ...this.#configuration, ...message.change };
        this.#start(this.#source);
        break;
      case 'restart':
        this.#start(this.#source);
        break;
      case 'pause':
        if (this.#status === 'training') this.#stop('paused');
        break;
      case 'resume':
        this.#resume();
        break;
      case 'save':
        this.#save();
        break;
      case 'load':
        await this.#load(message.file);
        break;
    }
  }

  #start(source: PictureSource): void {
    const painting = Painting.start(source.at(this.#configuration.size), this.#configuration);
    this.#source = source;
    this.#replace(painting);
    this.#train();
  }

  #resume(): void {
    if (!this.#painting) return;
    if (this.#painting.isFinished) this.#painting.planAnotherRound();
    this.#train();
  }

  #save(): void {
    if (!this.#painting) return;
    const bytes = savePainting(this.#painting);
    const fileName = `${baseName(this.#painting.picture.name)}.safetensors`;
    this.#post({ kind: 'saved', bytes, fileName }, [bytes.buffer]);
  }

  async #load(file: File): Promise<void> {
    const request = ++this.#request;
    if (file.size > maxWeightsFileBytes) {
      const megabytes = (file.size / 1e6).toFixed(0);
      throw new Error(`“${file.name}” has ${megabytes} MB; a painting saved on this page has at most 64 MB.`);
    }
    const painting = loadPainting(file.name, new Uint8Array(await file.arrayBuffer()));
    const source = await restorePicture(painting.picture);
    if (request !== this.#request) {
      painting.dispose();
      return;
    }
    this.#source = source;
    this.#configuration = painting.configuration;
    this.#replace(painting);
    this.#stop(painting.isFinished ? 'finished' : 'paused');
  }

  #replace(painting: Painting): void {
    this.#painting?.dispose();
    this.#painting = painting;
    this.#stopwatch.reset();
    this.#losses = [];
    const { picture, configuration } = painting;
    const pixels = picture.pixels.slice();
    this.#post({ kind: 'target', name: picture.name, configuration, pixels }, [pixels.buffer]);
    this.#postProgress(painting);
    this.#postAttention(painting);
  }

  #train(): void {
    this.#status = 'training';
    this.#stopwatch.start();
    this.#post({ kind: 'status', status: 'training' });
    if (!this.#isLooping) void this.#loop();
  }

  /** Stops the training and posts the state after its last step. */
  #stop(status: PainterStatus): void {
    this.#stopwatch.stop();
    this.#status = status;
    if (this.#painting) {
      this.#postProgress(this.#painting);
      this.#postAttention(this.#painting);
    }
    this.#post({ kind: 'status', status });
  }

  async #loop(): Promise<void> {
    this.#isLooping = true;
    try {
      while (this.#status === 'training' && this.#painting) {
        this.#trainSlice(this.#painting);
        await nextTask();
      }
    } catch (error) {
      this.#stopwatch.stop();
      this.#status = 'paused';
      this.#post({ kind: 'status', status: 'paused' });
      this.#post({ kind: 'error', message: `The training stopped: ${messageOf(error)}` });
    } finally {
      this.#isLooping = false;
    }
  }

  #trainSlice(painting: Painting): void {
    const end = performance.now() + sliceMilliseconds;
    do {
      const loss = painting.train();
      if (!Number.isFinite(loss)) throw new Error(`the loss is ${loss}. Press “Restart” to begin again.`);
      this.#losses.push(loss);
    } while (performance.now() < end && !painting.isFinished);

    if (painting.isFinished) {
      this.#stop('finished');
      return;
    }
    if (this.#rendering.isDue) this.#postProgress(painting);
    if (this.#attention.isDue) this.#postAttention(painting);
  }

  #postProgress(painting: Painting): void {
    this.#rendering.time(() => {
      const { pixels, psnr } = painting.render();
      const { step, plannedSteps } = painting;
      const { size } = painting.picture;
      const loss = this.#losses.reduce((sum, value) => sum + value, 0) / this.#losses.length;
      this.#losses = [];
      const { seconds } = this.#stopwatch;
      const stepsPerSecond = this.#stopwatch.pace(step);
      this.#post(
        { kind: 'progress', step, plannedSteps, seconds, stepsPerSecond, loss, psnr, size, pixels },
        [pixels.buffer],
      );
    });
  }

  #postAttention(painting: Painting): void {
    this.#attention.time(() => {
      const attention = painting.attention();
      this.#post({ kind: 'attention', size: painting.picture.size, ...attention }, [
        attention.maps.buffer,
        attention.colours.buffer,
      ]);
    });
  }
}

/** Limits how often some work is done: at most once per interval, and at most a fixed share of the time. */
class Pacer {
  readonly #interval: number;
  #dueAt = 0;

  constructor(interval: number) {
    this.#interval = interval;
  }

  get isDue(): boolean {
    return performance.now() >= this.#dueAt;
  }

  time(work: () => void): void {
    const start = performance.now();
    work();
    const cost = performance.now() - start;
    this.#dueAt = start + Math.max(this.#interval, cost / maxShareOfTime);
  }
}

function baseName(name: string): string {
  const stem = name
    .replace(/\.[^.]*$/, '')
    .replace(/[^\p{Letter}\p{Number}]+/gu, '-')
    .replace(/^-|-$/g, '');
  return stem.toLowerCase() || 'painting';
}
