// node exercise_in_node.mjs '{"simd":"baseline","threads":2}': prints what the exercise of the package gives in Node.
import { exercise } from '../pages/exercise.js';

console.log(JSON.stringify(await exercise(JSON.parse(process.argv[2]))));
process.exit();
