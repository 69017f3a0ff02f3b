// Exercises the package on the page's main thread or in a module worker, as the address's query says, and writes the
// result into the page: ?where=page|worker&simd=…&threads=…
import { exercise } from './exercise.js';
import { showResult } from './place.js';

const query = new URLSearchParams(location.search);
const threads = query.get('threads') ?? 'auto';
const options = {
  // Nothing else gives the same bits everywhere.
  device: 'wasm',
  simd: query.get('simd') ?? 'auto',
  threads: threads === 'auto' ? threads : Number(threads),
};
const worker = new URL('./package_worker.js', import.meta.url);
await showResult(query.get('where'), exercise, worker, options);
