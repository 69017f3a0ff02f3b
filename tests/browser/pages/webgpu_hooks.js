// Between the package and the browser's WebGPU: what is made is counted, and what is asked for may fail.

/** Puts `wrap(the original)` in a method's place until the returned function is called. */
function replace(object, name, wrap) {
  const original = Object.getOwnPropertyDescriptor(object, name);
  const key = original.get ? 'get' : 'value';
  Object.defineProperty(object, name, { ...original, [key]: wrap(original[key]) });
  return () => Object.defineProperty(object, name, original);
}

/** Buffers that were made and not destroyed; devices; and how much was made, submitted, destroyed. */
export function watchGpu() {
  const watched = { live: new Set(), made: 0, submits: 0, devices: [], destroyed: 0, onSubmit: () => {} };
  if (!globalThis.GPUDevice) return watched;
  replace(
    GPUDevice.prototype,
    'createBuffer',
    (create) =>
      function (...given) {
        const buffer = create.apply(this, given);
        watched.made++;
        watched.live.add(buffer);
        return buffer;
      },
  );
  replace(
    GPUBuffer.prototype,
    'destroy',
    (destroy) =>
      function () {
        watched.live.delete(this);
        destroy.call(this);
      },
  );
  replace(
    GPUQueue.prototype,
    'submit',
    (submit) =>
      function (commands) {
        watched.submits++;
        submit.call(this, commands);
        watched.onSubmit();
      },
  );
  replace(
    GPUDevice.prototype,
    'destroy',
    (destroy) =>
      function () {
        watched.destroyed++;
        destroy.call(this);
      },
  );
  replace(
    GPUAdapter.prototype,
    'requestDevice',
    (request) =>
      async function (...given) {
        const device = await request.apply(this, given);
        watched.devices.push(device);
        return device;
      },
  );
  return watched;
}

/**
 * Stops performance.now until the returned function is called. The package waits 250 ms after a failure before it tries
 * the GPU again; on a busy machine an exercise may take longer than that.
 */
export function stopClock() {
  const now = performance.now();
  return replace(Performance.prototype, 'now', () => () => now);
}

/** Limits of every device, as they are told to whoever asks. */
function limitTo(bytes) {
  const names = ['maxBufferSize', 'maxStorageBufferBindingSize'];
  const undo = names.map((name) => replace(GPUSupportedLimits.prototype, name, () => () => bytes));
  return () => undo.forEach((restore) => restore());
}

/** Ways in which WebGPU fails, by name: each begins, and returns what ends it. */
export const failures = {
  'no adapter': () => replace(GPU.prototype, 'requestAdapter', () => async () => null),
  'no device': () =>
    replace(GPUAdapter.prototype, 'requestDevice', () => async () => {
      throw new DOMException('refused by the test', 'OperationError');
    }),
  'no pipeline': () =>
    replace(GPUDevice.prototype, 'createComputePipelineAsync', () => async () => {
      throw new Error('not compiled by the test');
    }),
  'no buffer': () =>
    replace(GPUDevice.prototype, 'createBuffer', () => () => {
      throw new RangeError('not allocated by the test');
    }),
  /** As a driver tells it: in the scope that asks for it. */
  'no memory': () => {
    const scopes = [];
    const undo = [
      replace(
        GPUDevice.prototype,
        'pushErrorScope',
        (push) =>
          function (filter) {
            scopes.push(filter);
            push.call(this, filter);
          },
      ),
      replace(
        GPUDevice.prototype,
        'popErrorScope',
        (pop) =>
          async function () {
            const isMemory = scopes.pop() === 'out-of-memory';
            const told = await pop.call(this);
            return isMemory ? new GPUOutOfMemoryError('none left by the test') : told;
          },
      ),
    ];
    return () => undo.forEach((restore) => restore());
  },
  /** Less than any tensor of the exercise takes. */
  'tiny limits': () => limitTo(1024),
  /** A batch row at a time fits. */
  'small limits': () => limitTo(60_000),
  none: () => () => {},
};
