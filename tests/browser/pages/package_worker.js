// The package in a module worker.
import { exercise } from './exercise.js';

self.onmessage = async ({ data }) => {
  try {
    self.postMessage(await exercise(data));
  } catch (error) {
    self.postMessage({ error: String(error.stack ?? error) });
  }
};
