// Combines several layers of a model, each with different weights, into one: a call runs all of them.

/**
 * Prepares the layers. A single layer is returned as it is.
 * @param {object} contender see contenders.mjs
 * @param {object[]} shapes shapes of the layers
 */
export async function prepareLayers(contender, shapes, dtype, task) {
  const layers = [];
  for (const [index, shape] of shapes.entries()) {
    layers.push(await contender.prepare(shape, dtype, task, index));
  }
  return layers.length === 1 ? layers[0] : combine(layers);
}

function combine(layers) {
  const sumOfFlops = async () => {
    let sum = 0;
    for (const layer of layers) sum += await layer.flopsDone();
    return sum;
  };
  return {
    async run() {
      for (const layer of layers) await layer.run();
    },
    async check() {
      const results = [];
      for (const layer of layers) results.push(await layer.check());
      return concatenate(results);
    },
    flopsDone: layers.every(({ flopsDone }) => flopsDone) ? sumOfFlops : undefined,
    async dispose() {
      for (const layer of layers) await layer.dispose();
    },
  };
}

function concatenate(arrays) {
  const length = arrays.reduce((sum, array) => sum + array.length, 0);
  const all = new arrays[0].constructor(length);
  let offset = 0;
  for (const array of arrays) {
    all.set(array, offset);
    offset += array.length;
  }
  return all;
}
