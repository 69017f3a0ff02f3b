// What a contender is asked, in a process or a worker of its own: threads and SIMD variants are chosen once a process.
import { callsPerSample, sample } from './measure.mjs';
import { prepareLayers } from './layers.mjs';
import { layersOf } from './shapes.mjs';

/** Long enough for V8 to have compiled what runs hot. */
const warmUpSeconds = 0.3;
/** A call that takes so long needs no warming up, and is a sample by itself. */
const longCallSeconds = 0.5;

/** Processor time of all threads, in milliseconds; null where it cannot be known, as in a page. */
function processorMilliseconds() {
  const usage = globalThis.process?.cpuUsage?.();
  return usage ? (usage.user + usage.system) / 1000 : null;
}

/**
 * A stopwatch: milliseconds by the clock and of processor time (null where that cannot be known) since it was started.
 */
function startWatch() {
  const processor = processorMilliseconds();
  const start = performance.now();
  return () => ({
    clock: performance.now() - start,
    busy: processor === null ? null : processorMilliseconds() - processor,
  });
}

/**
 * The requests, by name; each takes one argument that can be cloned, and may return a promise.
 * @param {Record<string, () => Promise<object>>} contenders as in contenders.mjs
 */
export function contenderRequests(contenders) {
  let contender;
  let prepared = null;
  let count = 1;

  return {
    async start({ name, options }) {
      contender = await (await contenders[name]()).start(options);
    },

    supports: ({ shape, dtype, task }) =>
      layersOf(shape).every((layer) => contender.supports(layer, dtype, task)),

    async prepare({ shape, dtype, task }) {
      prepared = await prepareLayers(contender, layersOf(shape), dtype, task);
      const elapsed = startWatch();
      const result = await prepared.check();
      const { clock, busy } = elapsed();
      // On a busy machine the clock would tell more of the others.
      const firstCallSeconds = Math.min(clock, busy ?? clock) / 1000;
      const memory = prepared.memory?.() ?? null;
      if (firstCallSeconds < longCallSeconds) await sample(prepared.run, 1, warmUpSeconds);
      count = firstCallSeconds < longCallSeconds ? await callsPerSample(prepared.run) : 1;
      return { result, firstCallSeconds, memory, flopsDone: (await prepared.flopsDone?.()) ?? null };
    },

    /** `cores`: how many this process had in the mean; null where that cannot be known. */
    async round({ seconds }) {
      const elapsed = startWatch();
      const milliseconds = await sample(prepared.run, count, seconds);
      const { clock, busy } = elapsed();
      return { milliseconds, cores: busy === null ? null : busy / clock };
    },

    async finish() {
      const finished = prepared;
      prepared = null;
      await finished?.dispose();
    },
  };
}
