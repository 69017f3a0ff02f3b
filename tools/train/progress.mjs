// Shows the progress of a training.
import { SingleBar } from 'cli-progress';

/** The mean of the last 100 values. The loss of a single step is too noisy. */
class RunningMean {
  #values = [];
  add(value) {
    this.#values.push(value);
    if (this.#values.length > 100) this.#values.shift();
    return this.#values.reduce((sum, each) => sum + each, 0) / this.#values.length;
  }
}

export class Progress {
  #bar = new SingleBar({
    format:
      '{bar} {percentage} % | step {value} of {total} | loss {loss} | {pace} steps/s | {eta_formatted} left',
    etaBuffer: 200,
    noTTYOutput: true,
    notTTYSchedule: 60_000,
  });
  #loss = new RunningMean();
  #seconds = new RunningMean();

  begin({ parameters, step, steps }) {
    console.log(`  ${parameters.toLocaleString('en')} parameters`);
    this.#bar.start(steps, step, { loss: '–', pace: '–' });
  }

  /** Adds a step. `seconds`: its duration. */
  add({ step, loss, seconds }) {
    const pace = 1 / this.#seconds.add(seconds);
    this.#bar.update(step, { loss: this.#loss.add(loss).toFixed(4), pace: pace.toFixed(2) });
  }

  end() {
    this.#bar.stop();
  }
}
