// Exercises the package on the page's main thread or in a module worker, as the address's query says, and writes the
// result into the page: ?where=page|worker&simd=…&threads=…
import { exercise } from './exercise.js';

const query = new URLSearchParams(location.search);
const threads = query.get('threads') ?? 'auto';
const options = {
  simd: query.get('simd') ?? 'auto',
  threads: threads === 'auto' ? threads : Number(threads),
};

function exerciseInWorker() {
  const worker = new Worker(new URL('./package_worker.js', import.meta.url), { type: 'module' });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message || 'the worker did not start'));
    worker.postMessage(options);
  });
}

let result;
try {
  result = query.get('where') === 'worker' ? await exerciseInWorker() : await exercise(options);
} catch (error) {
  result = { error: String(error.stack ?? error) };
}
document.getElementById('result').textContent = JSON.stringify(result);
