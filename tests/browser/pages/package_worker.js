// The package in a module worker.
import { exercise } from './exercise.js';
import { answerWith } from './place.js';

answerWith(exercise);
