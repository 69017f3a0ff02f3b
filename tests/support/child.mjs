// Scripts in a Node of their own: for what needs a fresh package, or ends the process.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const project = fileURLToPath(new URL('../..', import.meta.url));

/** Within the project, so that a script's `import 'diffusion-cross-attention'` finds the built package. */
const scripts = path.join(project, 'build', 'test-scripts');
let count = 0;

/**
 * Runs the text of a module to its own end, without any call that would end it. Resolves to {code, output, errors, seconds};
 * `code` null: it had not ended after `seconds` and was stopped.
 */
export async function runScript(source, options = {}) {
  await mkdir(scripts, { recursive: true });
  const file = path.join(scripts, `${process.pid}-${++count}.mjs`);
  await writeFile(file, source);
  try {
    return await runNode([...(options.flags ?? []), file], options);
  } finally {
    await rm(file);
  }
}

/** The same for the arguments of Node itself. `seconds` only ends a process that hangs. */
export function runNode(args, { environment = {}, folder = project, seconds = 180 } = {}) {
  const start = performance.now();
  // NODE_TEST_CONTEXT would make the child report to our test runner.
  const env = { ...process.env, ...environment };
  delete env.NODE_TEST_CONTEXT;
  const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), seconds * 1000);
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (errors += chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, output, errors, seconds: (performance.now() - start) / 1000 });
    });
  });
}

/** Runs a module that must end well and print a JSON value as its last line; resolves to that value. */
export async function runForValue(source, options) {
  const { code, output, errors } = await runScript(source, options);
  assert.equal(code, 0, `the child process ended with ${code ?? 'a timeout'}\n${errors}\n${output}`);
  return JSON.parse(output.trim().split('\n').at(-1));
}
