// Runs scripts in separate Node processes, for tests that need a fresh package or end the process.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const project = fileURLToPath(new URL('../..', import.meta.url));

/** The folder is within the project so that `import 'diffusion-cross-attention'` finds the built package. */
const scripts = path.join(project, 'build', 'test-scripts');
let count = 0;

/**
 * Runs the source of a module. The process must end by itself. Resolves to {code, output, errors, seconds}.
 * `code` is null if it did not end within `seconds` and was killed.
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

/** Like runScript, with arguments of Node. `seconds` is a limit for processes that hang. */
export function runNode(args, { environment = {}, folder = project, seconds = 180 } = {}) {
  const start = performance.now();
  // With NODE_TEST_CONTEXT the child would report to this test runner.
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

/** Runs a module that must exit with code 0 and print JSON as its last line. Resolves to the parsed value. */
export async function runForValue(source, options) {
  const { code, output, errors } = await runScript(source, options);
  assert.equal(code, 0, `the child process exited with ${code ?? 'a timeout'}\n${errors}\n${output}`);
  return JSON.parse(output.trim().split('\n').at(-1));
}
