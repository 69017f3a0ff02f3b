// Runs an exercise of the package on WebGPU and writes the result into the page. Query of the address:
// ?where=page|worker&options={"exercise": a name in webgpu_exercises.js, …}
import { runExercise } from './run_exercise.js';
import { exercise } from './webgpu_exercises.js';

const query = new URLSearchParams(location.search);
const worker = new URL('./webgpu_worker.js', import.meta.url);
await runExercise(query.get('where'), exercise, worker, JSON.parse(query.get('options')));
