// The processor time of the calling thread. Unlike the clock it does not depend on other threads and programs.
import { existsSync, readFileSync } from 'node:fs';

const statistics = '/proc/thread-self/schedstat';

function readTime() {
  // Node 23.9 and newer.
  if (process.threadCpuUsage) return process.threadCpuUsage;
  // Linux: the first number is nanoseconds on a processor.
  if (existsSync(statistics))
    return () => ({ user: Number(readFileSync(statistics, 'latin1').split(' ')[0]) / 1000, system: 0 });
  // Includes the other threads of the process.
  return process.cpuUsage;
}

const usage = readTime();

/** Milliseconds of processor time that the calling thread has used. */
export function threadMilliseconds() {
  const { user, system } = usage();
  return (user + system) / 1000;
}
