// Layers one after another, as one thing to run: the layers of a model, each with weights of its own.

/**
 * @param {object} contender as in contenders.mjs
 * @param {object[]} shapes of the layers; of one layer all figures are its own
 */
export async function prepareLayers(contender, shapes, dtype, task) {
  const layers = [];
  for (const [index, shape] of shapes.entries()) {
    layers.push(await contender.prepare(shape, dtype, task, index));
  }
  return layers.length === 1 ? layers[0] : together(layers);
}

function together(layers) {
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
