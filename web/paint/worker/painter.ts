import { FIRST_CONFIGURATION, type Command, type News, type PainterStatus } from '../messages';
import { nextTask } from '../../shared/next_task';
import { decodePicture, restorePicture, type PictureSource } from '../../shared/picture_source';
import { Painting } from './painting';
import { samplePicture } from './sample_picture';
import { Stopwatch } from './stopwatch';
import { loadPainting, savePainting } from './weights_file';

/** How long the painter may train before it listens for commands again. */
const SLICE_MILLISECONDS = 25;
/** Looking costs training time: never more often than this, and never more than a tenth of the time. */
const LOOK_EVERY_MILLISECONDS = 125;
const ATTENTION_EVERY_MILLISECONDS = 500;
const LARGEST_SHARE_OF_TIME = 0.1;
/** Far more than any painting takes; keeps a film dropped by mistake out of memory. */
const LARGEST_WEIGHTS_FILE = 64 * 2 ** 20;

export type Tell = (news: News, transfer?: Transferable[]) => void;

/** Paints one picture at a time, does as it is told, and tells how it gets on. */
export class Painter {
  readonly #tell: Tell;
  readonly #stopwatch = new Stopwatch();
  readonly #look = new Pacer(LOOK_EVERY_MILLISECONDS);
  readonly #attention = new Pacer(ATTENTION_EVERY_MILLISECONDS);
  #source: PictureSource = samplePicture;
  #configuration = FIRST_CONFIGURATION;
  #painting: Painting | undefined;
  #status: PainterStatus = 'paused';
  #looping = false;
  #losses: number[] = [];
  /** Counts requests that replace the picture, so that a slow one does not overtake a later one. */
  #request = 0;

  constructor(tell: Tell) {
    this.#tell = tell;
  }

  async obey(command: Command): Promise<void> {
    switch (command.kind) {
      case 'paintSample':
        this.#request++;
        this.#begin(samplePicture);
        break;
      case 'paintPicture': {
        const request = ++this.#request;
        const source = await decodePicture(command.file);
        if (request === this.#request) this.#begin(source);
        break;
      }
      case 'configure':
        this.#configuration = { ...this.#configuration, ...command.change };
        this.#begin(this.#source);
        break;
      case 'restart':
        this.#begin(this.#source);
        break;
      case 'pause':
        if (this.#status === 'training') this.#rest('paused');
        break;
      case 'resume':
        this.#resume();
        break;
      case 'save':
        this.#save();
        break;
      case 'load':
        await this.#load(command.file);
        break;
    }
  }

  #begin(source: PictureSource): void {
    const painting = Painting.begin(source.at(this.#configuration.size), this.#configuration);
    this.#source = source;
    this.#replace(painting);
    this.#train();
  }

  #resume(): void {
    if (!this.#painting) return;
    if (this.#painting.finished) this.#painting.planAnotherRound();
    this.#train();
  }

  #save(): void {
    if (!this.#painting) return;
    const bytes = savePainting(this.#painting);
    const fileName = `${baseName(this.#painting.picture.name)}.safetensors`;
    this.#tell({ kind: 'saved', bytes, fileName }, [bytes.buffer]);
  }

  async #load(file: File): Promise<void> {
    const request = ++this.#request;
    if (file.size > LARGEST_WEIGHTS_FILE)
      throw new Error(`“${file.name}” is far too large to be a painting saved on this page.`);
    const painting = loadPainting(file.name, new Uint8Array(await file.arrayBuffer()));
    const source = await restorePicture(painting.picture);
    if (request !== this.#request) {
      painting.dispose();
      return;
    }
    this.#source = source;
    this.#configuration = painting.configuration;
    this.#replace(painting);
    this.#rest(painting.finished ? 'finished' : 'paused');
  }

  #replace(painting: Painting): void {
    this.#painting?.dispose();
    this.#painting = painting;
    this.#stopwatch.reset();
    this.#losses = [];
    const { picture, configuration } = painting;
    const pixels = picture.pixels.slice();
    this.#tell({ kind: 'target', name: picture.name, configuration, pixels }, [pixels.buffer]);
    this.#tellProgress(painting);
    this.#tellAttention(painting);
  }

  #train(): void {
    this.#status = 'training';
    this.#stopwatch.start();
    this.#tell({ kind: 'status', status: 'training' });
    if (!this.#looping) void this.#loop();
  }

  /** Stops training; what is on the screen then is what has been learned to the last step. */
  #rest(status: PainterStatus): void {
    this.#stopwatch.stop();
    this.#status = status;
    if (this.#painting) {
      this.#tellProgress(this.#painting);
      this.#tellAttention(this.#painting);
    }
    this.#tell({ kind: 'status', status });
  }

  async #loop(): Promise<void> {
    this.#looping = true;
    try {
      while (this.#status === 'training' && this.#painting) {
        this.#trainSlice(this.#painting);
        await nextTask();
      }
    } catch (error) {
      this.#stopwatch.stop();
      this.#status = 'paused';
      this.#tell({ kind: 'status', status: 'paused' });
      this.#tell({
        kind: 'error',
        message: `Training stopped: ${error instanceof Error ? error.message : String(error)}`,
      });
    } finally {
      this.#looping = false;
    }
  }

  #trainSlice(painting: Painting): void {
    const end = performance.now() + SLICE_MILLISECONDS;
    do {
      const loss = painting.train();
      if (!Number.isFinite(loss)) throw new Error('the numbers ran out of bounds. “Restart” begins afresh.');
      this.#losses.push(loss);
    } while (performance.now() < end && !painting.finished);

    if (painting.finished) {
      this.#rest('finished');
      return;
    }
    if (this.#look.due) this.#tellProgress(painting);
    if (this.#attention.due) this.#tellAttention(painting);
  }

  #tellProgress(painting: Painting): void {
    this.#look.time(() => {
      const { pixels, psnr } = painting.look();
      const { step, plannedSteps } = painting;
      const { size } = painting.picture;
      const loss = this.#losses.reduce((sum, value) => sum + value, 0) / this.#losses.length;
      this.#losses = [];
      const { seconds } = this.#stopwatch;
      const stepsPerSecond = this.#stopwatch.pace(step);
      this.#tell(
        { kind: 'progress', step, plannedSteps, seconds, stepsPerSecond, loss, psnr, size, pixels },
        [pixels.buffer],
      );
    });
  }

  #tellAttention(painting: Painting): void {
    this.#attention.time(() => {
      const attention = painting.attention();
      this.#tell({ kind: 'attention', size: painting.picture.size, ...attention }, [
        attention.maps.buffer,
        attention.colours.buffer,
      ]);
    });
  }
}

/** Spaces out something that costs time: by a fixed interval, or by more where it has proved dear. */
class Pacer {
  readonly #interval: number;
  #dueAt = 0;

  constructor(interval: number) {
    this.#interval = interval;
  }

  get due(): boolean {
    return performance.now() >= this.#dueAt;
  }

  time(work: () => void): void {
    const start = performance.now();
    work();
    const cost = performance.now() - start;
    this.#dueAt = start + Math.max(this.#interval, cost / LARGEST_SHARE_OF_TIME);
  }
}

function baseName(name: string): string {
  const stem = name
    .replace(/\.[^.]*$/, '')
    .replace(/[^\p{Letter}\p{Number}]+/gu, '-')
    .replace(/^-|-$/g, '');
  return stem.toLowerCase() || 'painting';
}
