// Requests that a contender handles in its process or worker. Each contender has a separate process, because
// threads and SIMD are chosen once per process.
import { callsPerSample, sample } from './measure.mjs';
import { prepareLayers } from './layers.mjs';
import { layersOf } from './shapes.mjs';

/** Long enough for V8 to compile the hot code. */
const warmUpSeconds = 0.3;
/** A call of at least this length needs no warm-up and is one sample. */
const longCallSeconds = 0.5;

/** Returns the processor time of all threads, in milliseconds, or null if it is unknown (in pages). */
function processorMilliseconds() {
  const usage = globalThis.process?.cpuUsage?.();
  return usage ? (usage.user + usage.system) / 1000 : null;
}

/**
 * Starts a stopwatch: returns a function that returns wall and processor milliseconds (null if unknown) since
 * the start.
 */
function startStopwatch() {
  const processor = processorMilliseconds();
  const start = performance.now();
  return () => ({
    clock: performance.now() - start,
    busy: processor === null ? null : processorMilliseconds() - processor,
  });
}

/**
 * Returns the handlers of the requests by name. A handler accepts one argument that can be cloned and may
 * return a promise.
 * @param {Record<string, () => Promise<object>>} contenders modules by name, as in contenders.mjs
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
      const elapsed = startStopwatch();
      const result = await prepared.check();
      const { clock, busy } = elapsed();
      // On a busy machine, wall time includes the time of other programs.
      const firstCallSeconds = Math.min(clock, busy ?? clock) / 1000;
      const memory = prepared.memory?.() ?? null;
      if (firstCallSeconds < longCallSeconds) await sample(prepared.run, 1, warmUpSeconds);
      count = firstCallSeconds < longCallSeconds ? await callsPerSample(prepared.run) : 1;
      return { result, firstCallSeconds, memory, flopsDone: (await prepared.flopsDone?.()) ?? null };
    },

    /** `cores`: the mean number of cores that this process used, or null if unknown. */
    async round({ seconds }) {
      const elapsed = startStopwatch();
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
