// What the contract says about errors: the class, its code, and a message that names the argument, what it got and what
// it takes.
import assert from 'node:assert/strict';
import {
  ArgumentError,
  CrossAttentionError,
  DisposedError,
  NotInitializedError,
  OutOfMemoryError,
  ShapeError,
  WeightsError,
} from 'diffusion-cross-attention';
import { DeviceError } from 'diffusion-cross-attention/denoiser';

export const codes = new Map([
  [ShapeError, 'ERR_SHAPE'],
  [ArgumentError, 'ERR_ARGUMENT'],
  [DisposedError, 'ERR_DISPOSED'],
  [NotInitializedError, 'ERR_NOT_INITIALIZED'],
  [WeightsError, 'ERR_WEIGHTS'],
  [OutOfMemoryError, 'ERR_OUT_OF_MEMORY'],
  [DeviceError, 'ERR_DEVICE'],
]);

/** `parts`: strings or patterns, each of which the message must contain. */
export function assertError(error, errorClass, ...parts) {
  assert.ok(error instanceof errorClass, `expected ${errorClass.name}, got ${error?.stack ?? String(error)}`);
  assert.equal(error.constructor, errorClass);
  assert.ok(error instanceof CrossAttentionError);
  assert.ok(error instanceof Error);
  assert.equal(error.code, codes.get(errorClass));
  assert.equal(error.name, errorClass.name);
  for (const part of parts) {
    const found = typeof part === 'string' ? error.message.includes(part) : part.test(error.message);
    assert.ok(found, `the message ${JSON.stringify(error.message)} does not contain ${part}`);
  }
}

export function assertThrows(work, errorClass, ...parts) {
  let result;
  try {
    result = work();
  } catch (error) {
    assertError(error, errorClass, ...parts);
    return error;
  }
  return assert.fail(`expected ${errorClass.name} (${parts.join(', ')}), got the result ${result}`);
}

/** `work` returns a promise: what it throws at once, instead of rejecting, is a failure. */
export async function assertRejects(work, errorClass, ...parts) {
  const promise = work();
  const outcome = await promise.then(
    (result) => ({ result }),
    (error) => ({ error }),
  );
  assert.ok('error' in outcome, `expected a rejection with ${errorClass.name}, got ${outcome.result}`);
  assertError(outcome.error, errorClass, ...parts);
}
