// An error that leaves WebAssembly as a JavaScript exception passes by the frames of WASM's own stack: their destructors
// run, but nobody sets the stack's top back. Here it is done, or some thousand errors would use the stack up.
import { coreClasses, coreFunctions, type Core } from './core';

type Method = (this: unknown, ...values: unknown[]) => unknown;

function restoring(core: Core, method: Method): Method {
  const guarded: Method = function (...values) {
    const top = core.stackSave();
    try {
      return method.apply(this, values);
    } catch (error) {
      core.stackRestore(top);
      throw error;
    }
  };
  // Embind keeps the overloads of a method as a property of it.
  return Object.assign(guarded, method);
}

/** Replaces the methods of an object by such ones. */
function guard(core: Core, owner: object, names: readonly string[]): void {
  for (const name of names) {
    const { value, writable } = Object.getOwnPropertyDescriptor(owner, name)!;
    if (name === 'constructor' || typeof value !== 'function' || !writable) continue;
    (owner as Record<string, unknown>)[name] = restoring(core, value as Method);
  }
}

/** Makes every call of the core leave WASM's stack as it was, also where it throws. */
export function restoreStackAfterErrors(core: Core): void {
  guard(core, core, coreFunctions);
  for (const name of coreClasses) {
    const coreClass = (core as unknown as Record<string, { prototype: object }>)[name]!;
    guard(core, coreClass, Object.getOwnPropertyNames(coreClass));
    guard(core, coreClass.prototype, Object.getOwnPropertyNames(coreClass.prototype));
  }
}
