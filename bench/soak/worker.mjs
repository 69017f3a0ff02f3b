// A worker of the soak test: starts the package and computes until it is terminated, in mid-call.
import { parentPort, workerData } from 'node:worker_threads';
import * as library from 'diffusion-cross-attention';
import { runRound } from './load.mjs';

await library.init(workerData);
parentPort.postMessage('started');
for (let round = 0; ; ++round) await runRound(library, round);
