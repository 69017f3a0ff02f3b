// Exercises the package on WebGPU, as the address's query says, and writes the result into the page:
// ?where=page|worker&options={"exercise": a name of webgpu_exercises.js, …}
import { showResult } from './place.js';
import { exercise } from './webgpu_exercises.js';

const query = new URLSearchParams(location.search);
const worker = new URL('./webgpu_worker.js', import.meta.url);
await showResult(query.get('where'), exercise, worker, JSON.parse(query.get('options')));
