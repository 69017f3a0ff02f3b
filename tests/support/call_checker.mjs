// Checks of one call with values that no caller should pass: whatever happens, it is over soon, and only
// errors of the package leave it.
import assert from 'node:assert/strict';
import { CrossAttentionError } from 'diffusion-cross-attention';
import { CallbackError } from './hostile_values.mjs';
import { codes } from './errors.mjs';

const knownCodes = new Set([...codes.values(), 'ERR_LOAD', 'ERR_ABORTED']);
const maxMessage = 1000;
/** Of the calling thread: for a call that is refused, and for one that computes. */
const maxMilliseconds = { refused: 100, computed: 3000 };
const maxWait = 20_000;

/** A call took too long. Busy machines and the garbage collector can be the reason: repeat it. */
export class SlowCall extends Error {}

/** As instanceof, but false for a proxy that throws. */
function isA(type, value) {
  try {
    return value instanceof type;
  } catch {
    return false;
  }
}

const isOfHostileClass = (error) => isA(TypeError, error) && /^Class constructor Hostile/.test(error.message);

/** Throws AssertionError unless an error is one that may leave the package. */
export function assertOurError(error, what) {
  // A function of the caller threw, or is a class.
  if (isA(CallbackError, error) || isOfHostileClass(error)) return;
  const shown = () => {
    try {
      return error?.stack ?? String(error);
    } catch {
      return 'an object that throws';
    }
  };
  assert.ok(isA(CrossAttentionError, error), `${what}: expected a CrossAttentionError, got ${shown()}`);
  assert.ok(knownCodes.has(error.code), `${what}: the code is ${String(error.code)}`);
  assert.equal(typeof error.message, 'string', what);
  const { length } = error.message;
  assert.ok(length > 5 && length <= maxMessage, `${what}: the message has ${length} characters`);
  assert.doesNotMatch(
    error.message,
    /Cannot read|is not a function|BindingError|undefined is not|not a constructor|private|recursion/,
    what,
  );
}

const limit = (promise, what) => {
  let timer;
  const late = new Promise((_, reject) => {
    const message = `${what}: never settles`;
    timer = setTimeout(() => reject(new assert.AssertionError({ message })), maxWait);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

/** Processor time of this thread, or, before Node 23.9, of the process. */
const cpuMilliseconds = () => {
  const { user, system } = process.threadCpuUsage?.() ?? process.cpuUsage();
  return (user + system) / 1000;
};

/**
 * Makes a call and checks it. Returns a promise that resolves with { result }, or { error } if it failed. A
 * call that fails the checks rejects it. `isWork`: it computes before it may be refused.
 */
export function checkCall(what, call, { isWork = false } = {}) {
  const start = cpuMilliseconds();
  let outcome;
  try {
    outcome = { result: call() };
  } catch (error) {
    outcome = { error };
  }
  const milliseconds = cpuMilliseconds() - start;
  return finish(what, outcome, milliseconds, isWork);
}

async function finish(what, outcome, milliseconds, isWork) {
  let { result } = outcome;
  if (result instanceof Promise) {
    try {
      result = await limit(result, what);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      outcome = { error };
    }
  }
  const isRefused = 'error' in outcome;
  if (isRefused) assertOurError(outcome.error, what);
  if (milliseconds > maxMilliseconds[isRefused && !isWork ? 'refused' : 'computed']) {
    throw new SlowCall(`${what}: ${Math.round(milliseconds)} ms on the calling thread`);
  }
  return isRefused ? outcome : { result };
}
