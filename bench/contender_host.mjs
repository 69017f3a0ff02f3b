// The process of one contender: threads and SIMD variants are chosen once a process. Answers contender_process.mjs.
//
// A file of contenders/ exports start(options), which resolves to
//   supports(shape, dtype, task)   whether it can do that
//   prepare(shape, dtype, task)    one layer, ready to run:
//     run()         one call; may return a promise
//     check()       the result of a first call, as a typed array, null where there is nothing to compare
//     flopsDone()   optional: the operations of one call, where the contender counts them itself
//     memory()      optional: bytes, by names of its own
//     dispose()
import { callsPerSample, sample } from './measure.mjs';

/** Long enough for V8 to have compiled what runs hot. */
const warmUpSeconds = 0.3;

let contender;
let prepared = null;
let count = 1;

const requests = {
  async start({ name, options }) {
    const module = await import(`./contenders/${name}.mjs`);
    contender = await module.start(options);
  },

  supports: ({ shape, dtype, task }) => contender.supports(shape, dtype, task),

  async prepare({ shape, dtype, task }) {
    prepared = await contender.prepare(shape, dtype, task);
    const result = await prepared.check();
    const memory = prepared.memory?.() ?? null;
    await sample(prepared.run, 1, warmUpSeconds);
    count = await callsPerSample(prepared.run);
    return { result, memory, flopsDone: (await prepared.flopsDone?.()) ?? null };
  },

  /** `cores`: how many this process had in the mean. */
  async round({ seconds }) {
    const cpuBefore = process.cpuUsage();
    const start = performance.now();
    const milliseconds = await sample(prepared.run, count, seconds);
    const elapsed = performance.now() - start;
    const { user, system } = process.cpuUsage(cpuBefore);
    return { milliseconds, cores: (user + system) / 1000 / elapsed };
  },

  async finish() {
    await prepared?.dispose();
    prepared = null;
  },
};

process.on('message', async ({ id, request, argument }) => {
  try {
    process.send({ id, answer: await requests[request](argument) });
  } catch (error) {
    process.send({ id, error: error.stack });
  }
});
process.on('disconnect', () => process.exit());
