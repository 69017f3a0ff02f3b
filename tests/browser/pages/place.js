// Where an exercise of the package is done: on the page's main thread or in a module worker.

/**
 * Writes what the exercise gives into the page, as JSON: `error` where it failed.
 *
 * @param {string} where 'page' or 'worker'
 * @param {(options: object) => Promise<object>} exercise
 * @param {URL} worker a script that gives the same exercise to answerWith
 */
export async function showResult(where, exercise, worker, options) {
  let result;
  try {
    result = where === 'worker' ? await doneIn(worker, options) : await exercise(options);
  } catch (error) {
    result = { error: String(error.stack ?? error) };
  }
  document.getElementById('result').textContent = JSON.stringify(result);
}

function doneIn(url, options) {
  const worker = new Worker(url, { type: 'module' });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message || 'the worker did not start'));
    worker.postMessage(options);
  });
}

/** In the worker. */
export function answerWith(exercise) {
  self.onmessage = async ({ data }) => {
    try {
      self.postMessage(await exercise(data));
    } catch (error) {
      self.postMessage({ error: String(error.stack ?? error) });
    }
  };
}
