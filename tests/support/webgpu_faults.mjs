// Faults of a device, by way of the objects that the package itself uses.

/**
 * Lets a device have no memory for the buffer of number `place` (from 0) that is asked for from now on: it is one that is not
 * valid, and the error scope around it tells why, as the specification has it. With Infinity all buffers are made. Returns
 * {failed(), label(), count(), end()}; count() is the number of buffers that were asked for.
 */
export function failBuffer(device, place) {
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
    return failed ? new GPUOutOfMemoryError('no memory, says the test') : error;
  };
  device.createBuffer = (descriptor) => {
    if (count++ !== place) return createBuffer.call(device, descriptor);
    label = descriptor.label;
    const scope = scopes.findLast(({ filter }) => filter === 'out-of-memory');
    if (scope) scope.failed = true;
    else
      device.onuncapturederror({ error: new GPUOutOfMemoryError(`no memory for '${label}', and no scope`) });
    // No device maps what is a uniform, too. That this is no mistake of the package's own stays among us.
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

/** Lets the pipelines whose labels `isMeant` says yes to fail to compile. Returns a function that ends it. */
export function failPipelines(device, isMeant = () => true) {
  const { createComputePipelineAsync } = device;
  device.createComputePipelineAsync = (descriptor) =>
    isMeant(descriptor.label)
      ? Promise.reject(new Error('does not compile, says the test'))
      : createComputePipelineAsync.call(device, descriptor);
  return () => Object.assign(device, { createComputePipelineAsync });
}
