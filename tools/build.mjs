// npm run build: dist/, the importable package, with all that it takes to build it.
import { buildDist } from './lib/build.mjs';
import { main } from './lib/steps.mjs';

await main(buildDist);
