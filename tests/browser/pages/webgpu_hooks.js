// Hooks between the package and the browser's WebGPU: they count resources and simulate failures.

/** Replaces a method by `wrap(original)`. Returns a function that restores it. */
function replace(object, name, wrap) {
  const original = Object.getOwnPropertyDescriptor(object, name);
  const key = original.get ? 'get' : 'value';
  Object.defineProperty(object, name, { ...original, [key]: wrap(original[key]) });
  return () => Object.defineProperty(object, name, original);
}

/**
 * Records WebGPU calls: `live` buffers (created and not destroyed), the number of `created` buffers,
 * `submits`, `devices`, and the number of `destroyed` devices.
 */
export function watchGpu() {
  const watched = { live: new Set(), created: 0, submits: 0, devices: [], destroyed: 0, onSubmit: () => {} };
  if (!globalThis.GPUDevice) return watched;
  replace(
    GPUDevice.prototype,
    'createBuffer',
    (create) =>
      function (...args) {
        const buffer = create.apply(this, args);
        watched.created++;
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
      async function (...args) {
        const device = await request.apply(this, args);
        watched.devices.push(device);
        return device;
      },
  );
  return watched;
}

/**
 * Stops performance.now until the returned function is called. After a failure, the package waits 250 ms
 * before it uses the GPU again. On a busy machine, an exercise may take longer than that.
 */
export function stopClock() {
  const now = performance.now();
  return replace(Performance.prototype, 'now', () => () => now);
}

/** Overrides the buffer limits of all adapters and devices. */
function limitTo(bytes) {
  const names = ['maxBufferSize', 'maxStorageBufferBindingSize'];
  const undo = names.map((name) => replace(GPUSupportedLimits.prototype, name, () => () => bytes));
  return () => undo.forEach((restore) => restore());
}

/** Failures of WebGPU by name. Each function starts the failure and returns a function that ends it. */
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
  /** Reported as drivers do: in an error scope. */
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
            const error = await pop.call(this);
            return isMemory ? new GPUOutOfMemoryError('none left by the test') : error;
          },
      ),
    ];
    return () => undo.forEach((restore) => restore());
  },
  /** Smaller than every tensor of the exercise. */
  'tiny limits': () => limitTo(1024),
  /** Large enough for one batch row. */
  'small limits': () => limitTo(60_000),
  none: () => () => {},
};
