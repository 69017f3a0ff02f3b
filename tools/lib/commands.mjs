// Starting programs: with their output shown, or kept and shown only where they fail.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';

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

/**
 * Runs a program to its end. Rejects, with the last of its output, where it fails.
 * `show`: its output goes to the terminal as it comes; else it is kept for the error only.
 */
export function run(program, args, { show = false, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const stdio = show ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'];
    const child = spawn(program, args, { stdio, ...options });
    let printed = '';
    const keep = (chunk) => (printed = (printed + chunk).slice(-20000));
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(printed);
      const command = [program, ...args].join(' ').slice(0, 300);
      reject(new Error(`${command}\nended with ${signal ?? `exit code ${code}`}\n${printed}`));
    });
  });
}
