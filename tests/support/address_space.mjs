// A randomized test of a module's allocator up to the limit of 4 GiB. Prints its findings as JSON.
// Arguments: module ('cross-attention' or 'denoiser'), variant, seed, number of allocations and frees.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { restoreStackAfterErrors } from '../../build/for_tests/stack.js';

const [module, variant, seed, steps] = process.argv.slice(2);
const { default: create } = await import(`../../dist/wasm/${module}-${variant}.js`);
const file = new URL(`../../dist/wasm/${module}-${variant}.wasm`, import.meta.url);
const core = await create({ wasm: await WebAssembly.compile(await readFile(file)), workers: 0 });
restoreStackAfterErrors(core, module === 'denoiser' ? ['Bytes'] : ['Bytes', 'TensorFloat32'], []);
/** A linear congruential generator. */
let state = Number(seed);
const random = () => (state = (1664525 * state + 1013904223) % 2 ** 32) / 2 ** 32;
// Tensors have undefined contents, so that their pages are not touched; Bytes are zeroed, and not counted.
const allocate =
  module === 'denoiser'
    ? (size) => core.Bytes.allocate(size)
    : (size) => core.TensorFloat32.uninitialized([size / 4]);
const countsBytes = module !== 'denoiser';
const live = [];
const addressLimit = 2 ** 32;
let bytes = 0;
let maxBytes = 0;
let refused = 0;
let allocated = 0;

/** Returns views of up to 16 bytes at both ends of a block. */
function endsOf({ handle }) {
  const { buffer, byteOffset, byteLength } = handle.view();
  const length = Math.min(16, byteLength);
  const at = (offset) => new Uint8Array(buffer, byteOffset + offset, length);
  return [at(0), at(byteLength - length)];
}

/** Throws unless the block still has its address, and no other block was written over its ends. */
function check(block) {
  assert.equal(block.handle.view().byteOffset, block.begin);
  for (const end of endsOf(block)) {
    assert.ok(
      end.every((value) => value === block.pattern),
      `the block at ${block.begin} was overwritten`,
    );
  }
}

function add(size) {
  let handle;
  try {
    handle = allocate(size);
  } catch (error) {
    // Also if there is not even memory for a message.
    assert.equal(error.code, 'ERR_OUT_OF_MEMORY', String(error));
    ++refused;
    return false;
  }
  const { byteOffset: begin, byteLength, buffer } = handle.view();
  assert.equal(byteLength, size);
  const end = begin + size;
  assert.ok(begin >= 1024 && end <= buffer.byteLength && end <= addressLimit, `${begin} to ${end}`);
  const overlapping = live.find((other) => begin < other.begin + other.size && other.begin < end);
  assert.equal(overlapping, undefined, `${begin} to ${end} overlaps ${overlapping?.begin}`);
  const block = { handle, begin, size, pattern: 1 + Math.floor(random() * 255) };
  for (const part of endsOf(block)) part.fill(block.pattern);
  live.push(block);
  bytes += size;
  maxBytes = Math.max(maxBytes, bytes);
  ++allocated;
  return true;
}

function remove(index) {
  const [block] = live.splice(index, 1);
  check(block);
  block.handle.delete();
  bytes -= block.size;
}

const checkBytes = () => {
  if (countsBytes) assert.equal(core.memoryInUse(), bytes);
};
/** Multiples of 4 bytes, evenly distributed over the powers of two. */
const randomSize = (maxExponent) => 4 * Math.ceil(2 ** (2 + random() * (maxExponent - 4)));
const removeRandom = () => remove(Math.floor(random() * live.length));

// Phases fill the memory with blocks of decreasing size, free some, and mix.
for (let step = 0; step < Number(steps); ++step) {
  const maxExponent = 14 + 16 * random();
  for (let run = 0; run < 20; ++run) add(randomSize(maxExponent));
  if (random() < 0.1) {
    for (let size = 2 ** 28; size >= 2 ** 12; size /= 4) while (live.length < 5000 && add(size));
  }
  const share = random();
  for (let count = Math.floor(live.length * share * share); count > 0; --count) removeRandom();
  checkBytes();
}
while (live.length > 0) removeRandom();
checkBytes();
// What is usable after all of this: blocks of 64 MiB and less.
for (let size = 2 ** 26; size >= 2 ** 16; size /= 4) while (add(size));
const usable = bytes;
live.forEach(check);
checkBytes();
while (live.length > 0) removeRandom();
checkBytes();
console.log(JSON.stringify({ usable, maxBytes, refused, allocated }));
process.exit(0);
