// Starting programs: with their output shown, or kept and shown only where they fail.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';

/** The full path of a program on PATH, or null. */
export function which(program) {
  for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
    const candidate = path.join(folder, program);
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

/** What a program prints on standard output, or null where it can't be run or fails. */
export function output(program, args, options = {}) {
  const result = spawnSync(program, args, { encoding: 'utf8', ...options });
  return result.status === 0 ? result.stdout : null;
}

/** A program that failed. `printed`: the last of its output; `code`: its exit code, null after a signal. */
export class CommandError extends Error {
  constructor(command, end, printed, code) {
    super(`${command}\nended with ${end}\n${printed}`);
    this.printed = printed;
    this.code = code;
  }
}

/** The programs that run() has started and that have not ended. */
const running = new Set();

// Nothing goes on after Ctrl+C.
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    for (const child of running) child.kill();
    process.kill(process.pid, signal);
  });
}

/** Characters of a program's output that are kept. */
const maxPrinted = 1_000_000;

/**
 * Runs a program to its end. Resolves to the last of its output; rejects with a CommandError if it fails.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {object} [options] of child_process.spawn, and:
 * @param {(line: string) => void} [options.onLine] is called for each line of its output
 * @param {(chunk: Buffer) => void} [options.onOutput] is called with its standard output
 * @param {number} [options.seconds] stops it after that time, which is a failure
 */
export function run(program, args, { onLine, onOutput, seconds, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    running.add(child);
    let printed = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => (printed = (printed + chunk).slice(-maxPrinted)));
      if (stream && onLine) createInterface({ input: stream }).on('line', onLine);
    }
    if (onOutput) child.stdout.on('data', onOutput);
    let timedOut = false;
    const stop = () => {
      timedOut = true;
      child.kill('SIGKILL');
    };
    const timer = seconds === undefined ? null : setTimeout(stop, seconds * 1000);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      running.delete(child);
      clearTimeout(timer);
      if (code === 0) return resolve(printed);
      const end = timedOut ? `a timeout after ${seconds} s` : (signal ?? `exit code ${code}`);
      reject(new CommandError([program, ...args].join(' ').slice(0, 300), end, printed, code));
    });
  });
}

/** Runs a program whose output goes to the terminal. This process ends with its exit code. */
export async function runAsMain(program, args) {
  try {
    await run(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  } catch (error) {
    if (!(error instanceof CommandError) || error.code === null) throw error;
    process.exitCode = error.code;
  }
}
