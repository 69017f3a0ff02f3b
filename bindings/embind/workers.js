/* global ENVIRONMENT_IS_NODE, ENVIRONMENT_IS_PTHREAD, Module */
/* eslint no-var: off, @typescript-eslint/no-unused-vars: off -- Worker must be seen in the whole module */
// Emscripten prepends this file to each module with threads. It adapts how workers are started and lets the
// package terminate them if loading fails.
var startedWorkers = [];
if (!ENVIRONMENT_IS_PTHREAD) {
  var Worker = class extends globalThis.Worker {
    constructor(url, options) {
      // Node's workers inherit the program's options, and some of those (--input-type) prevent their start.
      super(url, ENVIRONMENT_IS_NODE ? { ...options, execArgv: [] } : options);
      startedWorkers.push(this);
    }
  };
}
Module['endWorkers'] = () => startedWorkers.forEach((worker) => worker.terminate());
