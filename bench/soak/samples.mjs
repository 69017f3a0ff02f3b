// Samples of a soak test, and their trends.

/** Returns the trend of a least-squares line through [x, y] points. */
export function trendOf(points) {
  const mean = (index) => points.reduce((sum, point) => sum + point[index], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  let [covariance, variance] = [0, 0];
  for (const point of points) {
    covariance += (point[0] - x) * (point[1] - y);
    variance += (point[0] - x) ** 2;
  }
  return variance === 0 ? 0 : covariance / variance;
}

/** Returns the middle value. */
const median = (values) => values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)];

/**
 * Collects samples: objects of numbers with the same names. The trends leave out the first third, in which
 * caches and heaps grow to their size.
 */
export class Samples {
  #start = performance.now();
  #samples = [];

  add(values) {
    const minutes = (performance.now() - this.#start) / 60_000;
    this.#samples.push({ minutes, values });
    const text = Object.entries(values).map(([name, value]) => `${name} ${Math.round(value * 10) / 10}`);
    console.log(`${minutes.toFixed(1).padStart(6)} min  ${text.join('  ')}`);
  }

  /** Returns, for each name, the median and the trend per hour. */
  summary() {
    const late = this.#samples.slice(Math.floor(this.#samples.length / 3));
    const names = Object.keys(this.#samples[0]?.values ?? {});
    return Object.fromEntries(
      names.map((name) => {
        const points = late.map(({ minutes, values }) => [minutes / 60, values[name]]);
        return [name, { median: median(points.map(([, value]) => value)), perHour: trendOf(points) }];
      }),
    );
  }

  print(title) {
    console.log(`\n${title}: ${this.#samples.length} samples; median, and trend after the first third`);
    for (const [name, { median: middle, perHour }] of Object.entries(this.summary())) {
      const sign = perHour < 0 ? '' : '+';
      console.log(
        `  ${name.padEnd(24)} ${middle.toFixed(1).padStart(10)}  ${sign}${perHour.toFixed(2)} per hour`,
      );
    }
  }
}
