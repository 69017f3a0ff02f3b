// Describes this machine (Node only).
import os from 'node:os';

export function machine() {
  const cpus = os.cpus();
  return {
    processor: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    memoryGigabytes: Math.round(os.totalmem() / 1e9),
    system: `${os.type()} ${os.release()}, ${os.arch()}`,
    node: process.version,
    v8: process.versions.v8,
  };
}
