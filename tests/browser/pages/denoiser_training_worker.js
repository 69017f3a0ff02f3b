// Denoiser training on WebGPU in a module worker.
import { exercise } from './denoiser_training_exercise.js';
import { handleExercise } from './run_exercise.js';

handleExercise(exercise);
