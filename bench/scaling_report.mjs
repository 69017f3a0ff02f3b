// Curves of scaling.mjs, as text.
import { table } from './report.mjs';

/** How far an exponent may be from 1. */
const allowedDistance = 0.05;

export function curveText({ name, title, points }) {
  const rows = points.map(({ x, milliseconds, gflopsPerSecond, bytesBeyond }) => [
    String(x),
    `${milliseconds.toFixed(2)} ms`,
    gflopsPerSecond.toFixed(1),
    (bytesBeyond / 1e6).toFixed(2),
  ]);
  const head = [name, 'a call', 'GFLOP/s', 'MB beyond input, output, weights'];
  return `Against ${name}: ${title}\n${table([head, ...rows])}`;
}

/** Whether cost grows as the formula says. */
export function scalingLines(curves) {
  return curves
    .filter(({ fit }) => fit !== null)
    .map(({ name, fit, exponent }) => {
      const met = Math.abs(exponent - 1) <= allowedDistance;
      const { reference } = fit;
      const model =
        reference === null
          ? `time ~ ${name}ᵖ`
          : `time − time at ${name} = ${reference} ~ (${name} − ${reference})ᵖ`;
      const text =
        `${met ? '✓' : '✗'} ${model} from ${name} = ${fit.from} on: p = ${exponent.toFixed(3)}, ` +
        `wanted is 1 ± ${allowedDistance}`;
      return { met, text };
    });
}
