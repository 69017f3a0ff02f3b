// Injects faults into a device by replacing its methods.

/**
 * Makes the creation of the buffer with this index (from 0, counted from now on) fail with out of memory. As
 * specified, the returned buffer is invalid and the surrounding error scope reports the error. With Infinity
 * no creation fails. Returns {failed(), label(), count(), end()}; count() is the number of requested buffers.
 */
export function failBuffer(device, index) {
  const { createBuffer, pushErrorScope, popErrorScope } = device;
  const scopes = [];
  let count = 0;
  let label = null;
  device.pushErrorScope = (filter) => {
    scopes.push({ filter, failed: false });
    return pushErrorScope.call(device, filter);
  };
  device.popErrorScope = async () => {
    const { failed } = scopes.pop() ?? {};
    const error = await popErrorScope.call(device);
    return failed ? new GPUOutOfMemoryError('out of memory, injected by the test') : error;
  };
  device.createBuffer = (descriptor) => {
    if (count++ !== index) return createBuffer.call(device, descriptor);
    label = descriptor.label;
    const scope = scopes.findLast(({ filter }) => filter === 'out-of-memory');
    if (scope) scope.failed = true;
    else {
      const error = new GPUOutOfMemoryError(`out of memory for '${label}' outside error scopes`);
      device.onuncapturederror({ error });
    }
    // This combination of usages is invalid on all devices. The scope hides its validation error from the
    // package.
    pushErrorScope.call(device, 'validation');
    const invalid = createBuffer.call(device, { ...descriptor, usage: 0x1 | 0x40 });
    void popErrorScope.call(device);
    return invalid;
  };
  return {
    failed: () => label !== null,
    label: () => label,
    count: () => count,
    end: () => Object.assign(device, { createBuffer, pushErrorScope, popErrorScope }),
  };
}

/**
 * Makes the compilation of pipelines fail if `matches(label)` is true. Returns a function that ends the
 * injection.
 */
export function failPipelines(device, matches = () => true) {
  const { createComputePipelineAsync } = device;
  device.createComputePipelineAsync = (descriptor) =>
    matches(descriptor.label)
      ? Promise.reject(new Error('does not compile, injected by the test'))
      : createComputePipelineAsync.call(device, descriptor);
  return () => Object.assign(device, { createComputePipelineAsync });
}
