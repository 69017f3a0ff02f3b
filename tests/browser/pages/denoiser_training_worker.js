// A denoiser trained by WebGPU in a module worker.
import { exercise } from './denoiser_training_exercise.js';
import { answerWith } from './place.js';

answerWith(exercise);
