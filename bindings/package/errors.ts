/**
 * All errors of this package; of this class itself where `init` cannot have the WebAssembly module (code 'ERR_LOAD').
 * `code` is stable; `message` names the argument, what it got and what it takes.
 */
export class CrossAttentionError extends Error {
  // Written out, here and in every class that users meet: the published code has shorter names.
  static override readonly name: string = 'CrossAttentionError';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
    this.name = new.target.name;
  }
}

/** A wrong rank, size or length, or a negative dimension. */
export class ShapeError extends CrossAttentionError {
  static override readonly name = 'ShapeError';

  constructor(message: string) {
    super('ERR_SHAPE', message);
  }
}

/** NaN, not an integer, a wrong type or dtype, constructor arguments that cannot be, a call out of order. */
export class ArgumentError extends CrossAttentionError {
  static override readonly name = 'ArgumentError';

  constructor(message: string) {
    super('ERR_ARGUMENT', message);
  }
}

/** A tensor or layer was used after its dispose. */
export class DisposedError extends CrossAttentionError {
  static override readonly name = 'DisposedError';

  constructor(message: string) {
    super('ERR_DISPOSED', message);
  }
}

/** Something was made before `init` had loaded the WebAssembly module. */
export class NotInitializedError extends CrossAttentionError {
  static override readonly name = 'NotInitializedError';

  constructor(message: string) {
    super('ERR_NOT_INITIALIZED', message);
  }
}

/** A weight file is corrupt or does not match the layer. */
export class WeightsError extends CrossAttentionError {
  static override readonly name = 'WeightsError';

  constructor(message: string) {
    super('ERR_WEIGHTS', message);
  }
}

/** Memory could not be had. Nothing was changed; layers and tensors stay usable. */
export class OutOfMemoryError extends CrossAttentionError {
  static override readonly name = 'OutOfMemoryError';

  constructor(message: string) {
    super('ERR_OUT_OF_MEMORY', message);
  }
}

/** There is no graphics card, it went away, or it told of an error: what was asked of it cannot be had there. */
export class DeviceError extends CrossAttentionError {
  static override readonly name: string = 'DeviceError';

  constructor(message: string) {
    super('ERR_DEVICE', message);
  }
}

/** What an error of anybody's says. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const classes: Record<string, new (message: string) => CrossAttentionError> = {
  ERR_SHAPE: ShapeError,
  ERR_ARGUMENT: ArgumentError,
  ERR_WEIGHTS: WeightsError,
  ERR_OUT_OF_MEMORY: OutOfMemoryError,
};

/** The error that the core describes as "CODE message": it knows codes, not classes. */
export function errorFrom(description: string): CrossAttentionError {
  const end = description.indexOf(' ');
  return new (classes[description.slice(0, end)] ?? ArgumentError)(description.slice(end + 1));
}
