// What becomes of an exception that leaves WebAssembly. It is turned into the package's error. And it has passed by the
// frames of WASM's own stack: their destructors ran, but nobody set the stack's top back. Here it is done, or some thousand
// errors would use the stack up.
import type { CoreModule } from './core';
import { errorFrom, type CrossAttentionError } from './errors';

type Method = (this: unknown, ...values: unknown[]) => unknown;

/** The package's error for an exception of the core. Throws what is none: an error of JavaScript. */
function toPackageError(core: CoreModule, thrown: unknown): CrossAttentionError {
  return errorFrom(
    core.errorOf(() => {
      throw thrown;
    }),
  );
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
  // Embind keeps the overloads of a method as a property of it.
  return Object.assign(guarded, method);
}

/** Replaces the methods of an object by such ones. */
function guard(core: CoreModule, owner: object, names: readonly string[]): void {
  for (const name of names) {
    const { value, writable } = Object.getOwnPropertyDescriptor(owner, name)!;
    if (name === 'constructor' || typeof value !== 'function' || !writable) continue;
    (owner as Record<string, unknown>)[name] = restoring(core, value as Method);
  }
}

/** Makes every call of these of a core throw the package's errors, and leave WASM's stack as it was. */
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
