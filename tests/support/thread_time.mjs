// Measures the CPU time of the calling thread, which does not depend on other threads and programs.
import { existsSync, readFileSync } from 'node:fs';

const statistics = '/proc/thread-self/schedstat';

function readTime() {
  // Available since Node 23.9.
  if (process.threadCpuUsage) return process.threadCpuUsage;
  // Linux: the first number is the CPU time in nanoseconds.
  if (existsSync(statistics))
    return () => ({ user: Number(readFileSync(statistics, 'latin1').split(' ')[0]) / 1000, system: 0 });
  // Fallback: includes the other threads of the process.
  return process.cpuUsage;
}

const usage = readTime();

/** Returns the CPU time in milliseconds that the calling thread has used. */
export function threadMilliseconds() {
  const { user, system } = usage();
  return (user + system) / 1000;
}
