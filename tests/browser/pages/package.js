// Uses the package on the page's main thread or in a module worker and writes the result into the page. Query
// of the address: ?where=page|worker&simd=…&threads=…
import { exercise } from './exercise.js';
import { runExercise } from './run_exercise.js';

const query = new URLSearchParams(location.search);
const threads = query.get('threads') ?? 'auto';
const options = {
  // Only WebAssembly gives the same bits everywhere.
  device: 'wasm',
  simd: query.get('simd') ?? 'auto',
  threads: threads === 'auto' ? threads : Number(threads),
};
const worker = new URL('./package_worker.js', import.meta.url);
await runExercise(query.get('where'), exercise, worker, options);
