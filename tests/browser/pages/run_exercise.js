// Runs an exercise of the package on the page's main thread or in a module worker.

/**
 * Runs an exercise and writes its result into the page as JSON; if it fails, an object with `error`.
 *
 * @param {string} where 'page' or 'worker'
 * @param {(options: object) => Promise<object>} exercise
 * @param {URL} worker a script that passes the same exercise to handleExercise
 */
export async function runExercise(where, exercise, worker, options) {
  let result;
  try {
    result = where === 'worker' ? await runInWorker(worker, options) : await exercise(options);
  } catch (error) {
    result = { error: String(error.stack ?? error) };
  }
  document.getElementById('result').textContent = JSON.stringify(result);
}

function runInWorker(url, options) {
  const worker = new Worker(url, { type: 'module' });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message || 'the worker did not start'));
    worker.postMessage(options);
  });
}

/** Runs in the worker: handles the message of runInWorker. */
export function handleExercise(exercise) {
  self.onmessage = async ({ data }) => {
    try {
      self.postMessage(await exercise(data));
    } catch (error) {
      self.postMessage({ error: String(error.stack ?? error) });
    }
  };
}
