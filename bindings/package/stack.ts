// Exceptions that leave WebAssembly. Each is converted to the package's error, and the top of WASM's own
// stack is restored: C++ destructors ran, but JavaScript's unwinding does not restore the stack pointer.
// Without this, some thousand errors would exhaust the stack.
import type { CoreModule } from './core';
import { type CrossAttentionError, errorFrom, OutOfMemoryError } from './errors';

type Method = (this: unknown, ...values: unknown[]) => unknown;

/** Returns the package's error for an exception of the core. Rethrows an error of JavaScript. */
function toPackageError(core: CoreModule, thrown: unknown): CrossAttentionError {
  try {
    return errorFrom(
      ...core.errorOf(() => {
        throw thrown;
      }),
    );
  } catch (error) {
    // The C++ library throws others only without memory.
    if (error instanceof WebAssembly.Exception) return new OutOfMemoryError('out of memory');
    throw error;
  }
}

function restoring(core: CoreModule, method: Method): Method {
  const guarded: Method = function (...values) {
    const top = core.stackSave();
    try {
      return method.apply(this, values);
    } catch (thrown) {
      try {
        throw toPackageError(core, thrown);
      } finally {
        core.stackRestore(top);
      }
    }
  };
  // Embind stores the overloads of a method as a property of it.
  return Object.assign(guarded, method);
}

/** Replaces methods of an object by guarded ones. */
function guard(core: CoreModule, owner: object, names: readonly string[]): void {
  for (const name of names) {
    const { value, writable } = Object.getOwnPropertyDescriptor(owner, name)!;
    if (name === 'constructor' || typeof value !== 'function' || !writable) continue;
    (owner as Record<string, unknown>)[name] = restoring(core, value as Method);
  }
}

/**
 * Makes calls of these classes and functions of a core throw the package's errors and restore WASM's stack.
 */
export function restoreStackAfterErrors(
  core: CoreModule,
  classes: readonly string[],
  functions: readonly string[],
): void {
  guard(core, core, functions);
  for (const name of classes) {
    const coreClass = (core as unknown as Record<string, { prototype: object }>)[name]!;
    guard(core, coreClass, Object.getOwnPropertyNames(coreClass));
    guard(core, coreClass.prototype, Object.getOwnPropertyNames(coreClass.prototype));
  }
}
