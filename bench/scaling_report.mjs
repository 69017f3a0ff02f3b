// Prints the curves of scaling.mjs as text.
import { table } from './report.mjs';

/** Maximum difference of an exponent from 1. */
const tolerance = 0.05;

export function curveText({ name, title, points }) {
  const rows = points.map(({ x, milliseconds, gflopsPerSecond, bytesBeyond }) => [
    String(x),
    `${milliseconds.toFixed(2)} ms`,
    gflopsPerSecond.toFixed(1),
    (bytesBeyond / 1e6).toFixed(2),
  ]);
  const head = [name, 'time per call', 'GFLOP/s', 'MB without input, output, weights'];
  return `${name}: ${title}\n${table([head, ...rows])}`;
}

/** Checks that the cost grows as the formula predicts. */
export function scalingLines(curves) {
  return curves
    .filter(({ fit }) => fit !== null)
    .map(({ name, fit, exponent }) => {
      const met = Math.abs(exponent - 1) <= tolerance;
      const { reference } = fit;
      const model =
        reference === null
          ? `time ~ ${name}ᵖ`
          : `time − time at ${name} = ${reference} ~ (${name} − ${reference})ᵖ`;
      const text =
        `${met ? '✓' : '✗'} ${model} for ${name} ≥ ${fit.from}: p = ${exponent.toFixed(3)}, ` +
        `expected 1 ± ${tolerance}`;
      return { met, text };
    });
}
