// The package on WebGPU in a module worker.
import { handleExercise } from './run_exercise.js';
import { exercise } from './webgpu_exercises.js';

handleExercise(exercise);
