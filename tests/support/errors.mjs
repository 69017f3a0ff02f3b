// Assertions for errors as the contract specifies them: class, code, and a message that names the argument,
// its value and the allowed values.
import assert from 'node:assert/strict';
import {
  AbortedError,
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
  [AbortedError, 'ERR_ABORTED'],
]);

/** Asserts the class and code of an error. The message must contain each of `parts`, strings or patterns. */
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

/** Asserts that the promise of `work` is rejected. A synchronous exception of `work` is a failure. */
export async function assertRejects(work, errorClass, ...parts) {
  const promise = work();
  const outcome = await promise.then(
    (result) => ({ result }),
    (error) => ({ error }),
  );
  assert.ok('error' in outcome, `expected a rejection with ${errorClass.name}, got ${outcome.result}`);
  assertError(outcome.error, errorClass, ...parts);
}
