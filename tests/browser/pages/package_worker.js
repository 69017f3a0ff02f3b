// The package in a module worker.
import { exercise } from './exercise.js';
import { handleExercise } from './run_exercise.js';

handleExercise(exercise);
