// Trains a denoiser by WebGPU and in WebAssembly, and writes the losses into the page: ?where=page|worker&options={"steps": …}
import { exercise } from './denoiser_training_exercise.js';
import { showResult } from './place.js';

const query = new URLSearchParams(location.search);
const worker = new URL('./denoiser_training_worker.js', import.meta.url);
await showResult(query.get('where'), exercise, worker, JSON.parse(query.get('options')));
