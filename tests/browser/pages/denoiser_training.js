// Trains a denoiser on WebGPU and in WebAssembly and writes the losses into the page. Query of the address:
// ?where=page|worker&options={"steps": …}
import { exercise } from './denoiser_training_exercise.js';
import { runExercise } from './run_exercise.js';

const query = new URLSearchParams(location.search);
const worker = new URL('./denoiser_training_worker.js', import.meta.url);
await runExercise(query.get('where'), exercise, worker, JSON.parse(query.get('options')));
