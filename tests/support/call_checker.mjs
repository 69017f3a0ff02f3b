// Checks of one call with values that no caller should pass: whatever happens, it is over soon, and only
// errors of the package leave it.
import assert from 'node:assert/strict';
import { CrossAttentionError } from 'diffusion-cross-attention';
import { CallbackError } from './hostile_values.mjs';
import { codes } from './errors.mjs';

const knownCodes = new Set([...codes.values(), 'ERR_LOAD', 'ERR_ABORTED']);
const maxMessage = 2000;
const maxMilliseconds = 100;
const maxWait = 10_000;

/** Throws AssertionError unless an error is one that may leave the package. */
export function assertOurError(error, what) {
  if (error instanceof CallbackError) return;
  const shown = () => {
    try {
      return error?.stack ?? String(error);
    } catch {
      return 'an object that throws';
    }
  };
  assert.ok(error instanceof CrossAttentionError, `${what}: expected a CrossAttentionError, got ${shown()}`);
  assert.ok(knownCodes.has(error.code), `${what}: the code is ${String(error.code)}`);
  assert.equal(typeof error.message, 'string', what);
  assert.ok(
    error.message.length <= maxMessage,
    `${what}: the message has ${error.message.length} characters`,
  );
  assert.doesNotMatch(
    error.message,
    /Cannot read|is not a function|BindingError|undefined is not|private/,
    what,
  );
}

const limit = (promise, what) => {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(
      () => reject(new assert.AssertionError({ message: `${what}: never settles` })),
      maxWait,
    );
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

const cpuMilliseconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/**
 * Makes a call and checks it. Resolves with its result, undefined if it failed. `isWork`: the call may take
 * longer.
 */
export async function checkCall(what, call, { isWork = false } = {}) {
  const start = cpuMilliseconds();
  let result;
  let error = null;
  try {
    result = call();
  } catch (thrown) {
    error = { thrown };
  }
  const milliseconds = cpuMilliseconds() - start;
  assert.ok(isWork || milliseconds < maxMilliseconds, `${what}: ${milliseconds} ms on the calling thread`);
  if (error === null && typeof result?.then === 'function') {
    try {
      result = await limit(result, what);
    } catch (thrown) {
      if (thrown instanceof assert.AssertionError) throw thrown;
      error = { thrown };
    }
  }
  if (error === null) return result;
  assertOurError(error.thrown, what);
  return undefined;
}
