// The upper bound of every layer: the microkernel alone, with its panels in the first-level cache.

/** About half a millisecond of work. */
const products = 1000;

/** @param {{ bytes: Uint8Array }} options the .wasm file, which determines the SIMD variant */
export async function start({ bytes }) {
  const { instance } = await WebAssembly.instantiate(bytes);
  const { _initialize, ...functions } = instance.exports;
  _initialize?.();
  return { supports: () => true, prepare: (_shape, dtype) => prepare(functions, dtype) };
}

function prepare(functions, dtype) {
  const suffix = dtype === 'float32' ? 'Float32' : 'Float64';
  const [multiplyTiles, flopsOfTile, sumOfTile] = ['multiplyTiles', 'flopsOfTile', 'sumOfTile'].map(
    (name) => functions[name + suffix],
  );
  return {
    run: () => multiplyTiles(products),
    check() {
      multiplyTiles(1);
      // Every value of the panels is 1/2, so an element of the tile is a quarter of the depth.
      const expected = flopsOfTile() / 8;
      if (sumOfTile() !== expected)
        throw new Error(`sum of the microkernel's tile is ${sumOfTile()}; expected ${expected}`);
      return null;
    },
    flopsDone: () => products * flopsOfTile(),
    dispose() {},
  };
}
