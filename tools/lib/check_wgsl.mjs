// Compiles every variant of the kernels of bindings/webgpu with Dawn, on its null backend: no GPU is needed.
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildForTests } from './for_tests.mjs';
import { project } from './paths.mjs';
import { SetUpError } from './steps.mjs';

let gpu = null;

/** Returns all combinations of one value for each name: [{name: value, …}, …]. */
function combinations(choices) {
  let all = [{}];
  for (const [name, values] of Object.entries(choices)) {
    all = all.flatMap((chosen) => values.map((value) => ({ ...chosen, [name]: value })));
  }
  return all;
}

const bools = [false, true];
const masks = ['none', 'keys', 'additive'];

/** True unless TypeScript never requests this kernel (matrix.ts). */
const isPossible = ({ a, b, vectors, packedA, packedB, bias, accumulates }) =>
  !(a === 'rows' && b === 'depth') && (vectors || !(packedA || packedB)) && !(bias !== 'none' && accumulates);

function kernelsOf(kernels) {
  const tile = (stage, tileRows, tileColumns) => ({ stage, tileRows, tileColumns });
  const products = combinations({
    tiling: [tile('registers', 4, 4), tile('registers', 4, 8), tile('workgroup', 8, 4)],
    a: ['depth', 'rows'],
    b: ['depth', 'columns'],
    c: ['columns', 'rows'],
    vectors: bools,
    packedA: bools,
    packedB: bools,
    bias: ['none', 'rows', 'columns'],
    accumulates: bools,
  });
  const flash = combinations({ headDim: [8, 40, 80, 96, 160, 256], mask: masks, storesLogSumExp: bools });
  const sums = combinations({ hasFactors: bools, accumulates: bools, lanes: [1, 16] });
  return [
    ...products
      .filter(isPossible)
      .map(({ tiling, ...product }) => kernels.multiplyKernel({ ...tiling, ...product })),
    ...flash.map(kernels.flashKernel),
    ...combinations({ mask: masks, storesLogSumExp: bools }).map(kernels.softmaxKernel),
    ...masks.map(kernels.softmaxGradientKernel),
    kernels.deltaKernel(),
    ...bools.map(kernels.channelSumsKernel),
    ...bools.map(kernels.headNormKernel),
    kernels.packHalvesKernel(),
    ...sums.map(kernels.tokenSumKernel),
  ];
}

/** Resolves to the errors of a kernel, as '<label>: <message>'. */
async function errorsOf(device, { label, code, constants = {} }) {
  const module = device.createShaderModule({ label, code: code() });
  try {
    const compute = { module, entryPoint: 'main', constants };
    await device.createComputePipelineAsync({ label, layout: 'auto', compute });
    return [];
  } catch (error) {
    return [`${label}: ${error.message}`];
  }
}

/** Throws SetUpError with the messages of all kernels that do not compile. Resolves to a summary. */
export async function checkWgsl() {
  await buildForTests();
  const kernels = await import(pathToFileURL(path.join(project, 'build/for_tests/webgpu.js')).href);
  const { create, globals } = await import('webgpu');
  for (const [name, value] of Object.entries(globals)) globalThis[name] ??= value;
  // Dawn crashes if its last reference is collected while the process runs.
  gpu ??= create(['backend=null']);
  const adapter = await gpu.requestAdapter();
  if (adapter === null) throw new SetUpError('Dawn (npm `webgpu`) has no null backend');
  const requiredFeatures = ['subgroups'].filter((feature) => adapter.features.has(feature));
  const limits = ['maxComputeWorkgroupStorageSize', 'maxComputeInvocationsPerWorkgroup'];
  const device = await adapter.requestDevice({
    requiredFeatures,
    requiredLimits: Object.fromEntries(limits.map((name) => [name, adapter.limits[name]])),
  });
  device.onuncapturederror = () => {};
  const all = kernelsOf(kernels);
  const errors = (await Promise.all(all.map((kernel) => errorsOf(device, kernel)))).flat();
  device.destroy();
  if (errors.length > 0) throw new SetUpError(errors.join('\n'));
  return `${all.length} kernels`;
}
