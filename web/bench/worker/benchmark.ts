/**
 * A run of the benchmark. It has a worker of its own: results are compared number by number, which the page should not
 * feel. Ending that worker ends those that it started.
 */
import { entryOf } from '../../../bench/contenders.mjs';
import { measureAll } from '../../../bench/measurement.mjs';
import { toJson } from '../../../bench/summary.mjs';
import { machineOf } from '../machine';
import type { BenchmarkJson, Choices, News } from '../messages';
import { DTYPE, plannedContenders, plannedMeasurements, type PlannedContender } from '../plan';
import { ContenderWorker } from './contender_worker';
import { ceilingBytes, filesOf } from './peer_files';

type Tell = (news: News) => void;

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

/** Loading takes about as long as a measurement: so much for the progress bar. */
const LOADING_MEASUREMENTS = 0.5;

export async function runBenchmark(choices: Choices, tell: Tell): Promise<void> {
  const plan = plannedMeasurements(choices);
  const doneAt = (measurements: number): number =>
    (LOADING_MEASUREMENTS + measurements) / (LOADING_MEASUREMENTS + plan.length);
  const machine = await machineOf();
  const { entries, failures } = await startEntries(plannedContenders(choices), (title, done) =>
    tell({
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
    const what = { shape, task, dtype: DTYPE };
    const { records, notMeasured } = await measureAll(what, entries, choices.seconds, {
      onProgress: ({ stage, entry, done }) =>
        tell({
          kind: 'progress',
          stage,
          title: entry.title,
          measurement: id,
          // Preparing takes about as long as measuring.
          done: doneAt(index + (stage === 'preparing' ? done / 2 : (1 + done) / 2)),
        }),
    });
    measurements.push({ ...what, records, notMeasured: [...failures, ...notMeasured] });
    json = toJson(measurements, machine) as unknown as BenchmarkJson;
    tell({ kind: 'measured', measurement: id, json });
  }
  tell({ kind: 'finished', json });
}

/** Those that do not start, whatever the reason, are left out of all measurements. */
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
      failures.push({ entry: { ...entry, ceiling: [] }, reason: (error as Error).message });
    }
  }
  return { entries, failures };
}

/** The microkernel by itself, a worker for each thread, shared by contenders of the same SIMD. */
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
