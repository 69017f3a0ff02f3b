// Draws the curves of scaling.mjs: time and memory. Uses no Node API.
import * as Plot from '@observablehq/plot';

const color = 'var(--chart-ours, #5546c9)';

function panel(points, { document, width, height, isLog, xLabel, y, yLabel }) {
  const xs = points.map(({ x }) => x);
  const last = xs.at(-1);
  const ticks = isLog ? [xs[0], xs[xs.length >> 1], last] : last < 10 ? xs : [0, last / 2, last];
  return Plot.plot({
    document,
    width,
    height,
    marginLeft: 40,
    marginTop: 26,
    marginBottom: 34,
    x: { ...(isLog ? { type: 'log' } : { domain: [0, last] }), label: xLabel },
    y: { ...(isLog ? { type: 'log' } : { zero: true }), label: yLabel, ticks: 3 },
    style: { fontSize: '11px', overflow: 'visible' },
    marks: [
      Plot.gridX(ticks),
      Plot.gridY({ ticks: 3 }),
      // The default axis of a logarithmic scale omits some labels.
      Plot.axisX(ticks, { text: String }),
      Plot.lineY(points, { x: 'x', y, stroke: color, strokeWidth: 1.8 }),
      Plot.dot(points, { x: 'x', y, fill: color, r: 3 }),
    ],
  });
}

/**
 * Returns the charts of a grid with one column per curve: time in the first row, memory in the second.
 * @returns {{ svg: SVGSVGElement, column: number, row: number }[]}
 */
export function scalingPanels({ curves }, { document, width, height }) {
  return curves.flatMap(({ name, exponent, points }, column) => {
    const exponentText = exponent === null ? '' : `, exponent ${exponent.toFixed(2)}`;
    const size = { document, width, height, xLabel: name };
    const data = points.map((point) => ({ ...point, megabytes: point.bytesBeyond / 1e6 }));
    const time = { isLog: name !== 'threads', y: 'milliseconds', yLabel: `ms${exponentText}` };
    const memory = { isLog: false, y: 'megabytes', yLabel: 'MB' };
    return [
      { column, row: 0, svg: panel(data, { ...size, ...time }) },
      { column, row: 1, svg: panel(data, { ...size, ...memory }) },
    ];
  });
}
