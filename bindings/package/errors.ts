const maxMessage = 1000;

/**
 * Base class of all errors of this package. `code` is stable; `message` names the argument, its value and
 * what is expected. `init` throws it itself if the WebAssembly module cannot be loaded (code 'ERR_LOAD').
 */
export class CrossAttentionError extends Error {
  // A literal name in every public class: minification renames the classes themselves.
  static override readonly name: string = 'CrossAttentionError';
  readonly code: string;

  constructor(code: string, message: string) {
    // Names of the caller's files and nodes are part of messages and may be of any length.
    const text = typeof message === 'string' ? message : messageOf(message);
    super(text.length > maxMessage ? `${text.slice(0, maxMessage - 1)}…` : text);
    this.code = code;
    this.name = new.target.name;
  }
}

/** Wrong rank, size or length, or a negative dimension. Code 'ERR_SHAPE'. */
export class ShapeError extends CrossAttentionError {
  static override readonly name = 'ShapeError';

  constructor(message: string) {
    super('ERR_SHAPE', message);
  }
}

/**
 * NaN, a value that is not an integer, a wrong type or dtype, invalid constructor arguments, or a call out of
 * order. Code 'ERR_ARGUMENT'.
 */
export class ArgumentError extends CrossAttentionError {
  static override readonly name = 'ArgumentError';

  constructor(message: string) {
    super('ERR_ARGUMENT', message);
  }
}

/** A tensor, layer or other object was used after its dispose. Code 'ERR_DISPOSED'. */
export class DisposedError extends CrossAttentionError {
  static override readonly name = 'DisposedError';

  constructor(message: string) {
    super('ERR_DISPOSED', message);
  }
}

/** The package was used before `init` had loaded the WebAssembly module. Code 'ERR_NOT_INITIALIZED'. */
export class NotInitializedError extends CrossAttentionError {
  static override readonly name = 'NotInitializedError';

  constructor(message: string) {
    super('ERR_NOT_INITIALIZED', message);
  }
}

/** A weight or model file is corrupt or does not match the layer. Code 'ERR_WEIGHTS'. */
export class WeightsError extends CrossAttentionError {
  static override readonly name = 'WeightsError';

  constructor(message: string) {
    super('ERR_WEIGHTS', message);
  }
}

/** An allocation failed. Nothing was changed; layers and tensors stay usable. Code 'ERR_OUT_OF_MEMORY'. */
export class OutOfMemoryError extends CrossAttentionError {
  static override readonly name = 'OutOfMemoryError';

  constructor(message: string) {
    super('ERR_OUT_OF_MEMORY', message);
  }
}

/** An AbortSignal ended the call. Its reason is `cause`. Code 'ERR_ABORTED'. */
export class AbortedError extends CrossAttentionError {
  static override readonly name = 'AbortedError';

  constructor(message: string, cause: unknown) {
    super('ERR_ABORTED', message);
    this.cause = cause;
  }
}

/** There is no GPU device, it was lost, or it reported an error. Code 'ERR_DEVICE'. */
export class DeviceError extends CrossAttentionError {
  static override readonly name: string = 'DeviceError';

  constructor(message: string) {
    super('ERR_DEVICE', message);
  }
}

/** As instanceof. False for a proxy that throws. */
export function isInstance<T>(value: unknown, type: abstract new (...values: never[]) => T): value is T {
  try {
    return value instanceof type;
  } catch {
    return false;
  }
}

/** Returns the message of an Error, or anything else that was thrown as a string. Never throws. */
export function messageOf(error: unknown): string {
  try {
    const message: unknown = error instanceof Error ? error.message : error;
    return typeof message === 'object' || typeof message === 'function' ? 'an object' : String(message);
  } catch {
    // A getter or a proxy of the caller threw.
    return 'an object';
  }
}

const classes: Record<string, new (message: string) => CrossAttentionError> = {
  ERR_SHAPE: ShapeError,
  ERR_ARGUMENT: ArgumentError,
  ERR_WEIGHTS: WeightsError,
  ERR_OUT_OF_MEMORY: OutOfMemoryError,
};

/** Creates the error of the core. It has codes, not classes. */
export const errorFrom = (code: string, message: string): CrossAttentionError =>
  new (classes[code] ?? ArgumentError)(message);
