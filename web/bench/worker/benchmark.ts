/**
 * A run of the benchmark. It has its own worker, because comparing results number by number would block the
 * page. Terminating that worker also terminates the workers that it started.
 */
import { entryOf } from '../../../bench/contenders.mjs';
import { measureAll } from '../../../bench/measurement.mjs';
import { toJson } from '../../../bench/summary.mjs';
import { messageOf } from '../../shared/message_of';
import { readMachine } from '../machine';
import type { BenchmarkJson, Choices, BenchmarkEvent } from '../messages';
import { measuredDtype, plannedContenders, plannedMeasurements, type PlannedContender } from '../plan';
import { ContenderWorker } from './contender_worker';
import { ceilingBytes, filesOf } from './peer_files';

type Post = (event: BenchmarkEvent) => void;

interface Entry {
  readonly label: string;
  readonly title: string;
  readonly name: string;
  readonly options: { readonly simd?: string; readonly threads: number };
  readonly process: ContenderWorker;
  readonly ceiling: ContenderWorker[];
}

interface NotMeasured {
  readonly entry: Entry;
  readonly reason: string;
}

/** Duration of the loading, in measurements. For the progress bar. */
const loadingMeasurements = 0.5;

export async function runBenchmark(choices: Choices, post: Post): Promise<void> {
  const plan = plannedMeasurements(choices);
  const doneAt = (measurements: number): number =>
    (loadingMeasurements + measurements) / (loadingMeasurements + plan.length);
  const machine = await readMachine();
  const { entries, failures } = await startEntries(plannedContenders(choices), (title, done) =>
    post({
      kind: 'progress',
      stage: 'loading',
      title,
      measurement: null,
      done: doneAt(0) * done,
    }),
  );

  const measurements: object[] = [];
  let json = toJson(measurements, machine) as unknown as BenchmarkJson;
  for (const [index, { id, shape, task }] of plan.entries()) {
    const measurement = { shape, task, dtype: measuredDtype };
    const { records, notMeasured } = await measureAll(measurement, entries, choices.seconds, {
      onProgress: ({ stage, entry, done }) =>
        post({
          kind: 'progress',
          stage,
          title: entry.title,
          measurement: id,
          // Preparing and measuring take about the same time.
          done: doneAt(index + (stage === 'preparing' ? done / 2 : (1 + done) / 2)),
        }),
    });
    measurements.push({ ...measurement, records, notMeasured: [...failures, ...notMeasured] });
    json = toJson(measurements, machine) as unknown as BenchmarkJson;
    post({ kind: 'measured', measurement: id, json });
  }
  post({ kind: 'finished', json });
}

/** Starts the contenders. Those that fail to start are left out of all measurements. */
async function startEntries(
  planned: readonly PlannedContender[],
  onProgress: (title: string, done: number) => void,
): Promise<{ entries: Entry[]; failures: NotMeasured[] }> {
  const entries: Entry[] = [];
  const failures: NotMeasured[] = [];
  const ceilings = new Ceilings();
  for (const [index, { choice, threads, title }] of planned.entries()) {
    onProgress(title, index / planned.length);
    const options = { ...choice.options, threads };
    const process = new ContenderWorker(choice.name, { ...options, files: filesOf(choice.name) });
    const entry = { ...entryOf(choice.label, choice.name, options), options, process };
    try {
      await process.restart();
      entries.push({ ...entry, ceiling: await ceilings.of(options) });
    } catch (error) {
      process.stop();
      failures.push({ entry: { ...entry, ceiling: [] }, reason: messageOf(error) });
    }
  }
  return { entries, failures };
}

/**
 * Workers that measure the microkernel alone, one per thread. Contenders of the same SIMD level share them.
 */
class Ceilings {
  readonly #ofSimd = new Map<string, ContenderWorker[]>();

  async of({ simd, threads }: { simd?: string; threads: number }): Promise<ContenderWorker[]> {
    if (simd === undefined) return [];
    const bytes = await ceilingBytes(simd);
    if (bytes === null) return [];
    const workers = this.#ofSimd.get(simd) ?? [];
    this.#ofSimd.set(simd, workers);
    while (workers.length < threads) {
      const worker = new ContenderWorker('ceiling', { bytes });
      await worker.restart();
      workers.push(worker);
    }
    return workers.slice(0, threads);
  }
}
