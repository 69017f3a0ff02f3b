// Runs programs. Their output is shown, or captured and reported only if they fail.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';

/** Returns the full path of a program on PATH, or null. */
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

/** Returns the standard output of a program, or null if it cannot be run or fails. */
export function output(program, args, options = {}) {
  const result = spawnSync(program, args, { encoding: 'utf8', ...options });
  return result.status === 0 ? result.stdout : null;
}

/**
 * A program failed. `end`: how it ended; `printed`: the end of its output; `code`: its exit code, null after
 * a signal.
 */
export class CommandError extends Error {
  constructor(command, end, printed, code) {
    super(`${command}\nended with ${end}\n${printed}`);
    this.end = end;
    this.printed = printed;
    this.code = code;
  }
}

/** The programs that run() started and that are still running. */
const running = new Set();

// Ctrl+C stops them, too.
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    for (const child of running) child.kill();
    process.kill(process.pid, signal);
  });
}

/** Maximum number of captured characters of a program's output. */
const maxPrinted = 1_000_000;

/**
 * Runs a program until it exits. Resolves to the end of its output. Rejects with a CommandError if it fails.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {object} [options] of child_process.spawn, and:
 * @param {(line: string) => void} [options.onLine] called for each line of the output
 * @param {(chunk: Buffer) => void} [options.onOutput] called with chunks of the standard output
 * @param {number} [options.seconds] timeout; a program that runs longer is killed and has failed
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

/** Runs a program with its output on the terminal. This process then has the program's exit code. */
export async function runAsMain(program, args) {
  try {
    await run(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  } catch (error) {
    if (!(error instanceof CommandError) || error.code === null) throw error;
    process.exitCode = error.code;
  }
}
