// The package on WebGPU in a module worker.
import { answerWith } from './place.js';
import { exercise } from './webgpu_exercises.js';

answerWith(exercise);
