/* global ENVIRONMENT_IS_NODE, ENVIRONMENT_IS_PTHREAD, Module */
/* eslint no-var: off, @typescript-eslint/no-unused-vars: off -- Worker must be seen in the whole module */
// Emscripten puts this at the head of each module with threads: how its workers are started and, where loading fails, ended.
var startedWorkers = [];
if (!ENVIRONMENT_IS_PTHREAD) {
  var Worker = class extends globalThis.Worker {
    constructor(url, options) {
      // Node's workers take over the options of the program, and some of those (--input-type) stop them.
      super(url, ENVIRONMENT_IS_NODE ? { ...options, execArgv: [] } : options);
      startedWorkers.push(this);
    }
  };
}
Module['endWorkers'] = () => startedWorkers.forEach((worker) => worker.terminate());
