// node exercise_in_node.mjs '{"simd":"baseline","threads":2}': runs the exercise of the package in Node and
// prints its result.
import { exercise } from '../pages/exercise.js';

console.log(JSON.stringify(await exercise(JSON.parse(process.argv[2]))));
process.exit();
