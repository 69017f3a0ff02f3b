// Draws the speeds of a run as a bar chart, grouped by shape. Uses no Node API: pages draw it, too. Colours
// are CSS variables.
import * as Plot from '@observablehq/plot';
import { notSupported, threadsTitle } from './contenders.mjs';
import { isOverhead } from './shapes.mjs';

/**
 * Minimum width of a chart with one column per number of threads. In a narrower chart, all bars are in one
 * column and labels are above their bars.
 */
const minWidthOfColumns = 600;
/**
 * `labelWidth`: space for the label at the end of a bar. `nameWidth`: space for the shape's name to the left
 * of its bars; narrow charts print the name above the bars.
 */
const wide = { nameWidth: 66, labelWidth: 178, rowHeight: 13, groupGap: 14, inset: 0 };
const narrow = { nameWidth: 1, labelWidth: 44, rowHeight: 27, groupGap: 26, inset: 14 };

const colors = {
  relaxed: 'var(--chart-ours, #5546c9)',
  baseline: 'var(--chart-ours-baseline, #a79df0)',
  onnxruntime_web: 'var(--chart-peer-1, #e08a2e)',
  tensorflow: 'var(--chart-peer-2, #d9534f)',
  jax: 'var(--chart-peer-3, #2a9d8f)',
  onnxruntime_node: 'var(--chart-peer-4, #9a9a9a)',
};
const colorOf = ({ simd, name }) => colors[simd ?? name];

const labelOf = ({ simd, label }) => (simd ? `ours, ${simd} SIMD` : label);

function labelText({ gflopsPerSecond, reason }) {
  if (reason !== undefined) return '–';
  return gflopsPerSecond === null ? '' : gflopsPerSecond.toFixed(1);
}

/** Returns one bar for each contender that supports the task. */
function barsOf(measurements) {
  return measurements.flatMap(({ shape, contenders, notMeasured = [] }) =>
    [...contenders, ...notMeasured.filter(({ reason }) => reason !== notSupported)].map((one) => ({
      ...one,
      shape: shape.name,
      label: labelOf(one),
      text: labelText(one),
      rate: one.gflopsPerSecond ?? 0,
      ceiling: one.ceilingGflopsPerSecond ?? null,
      columns: threadsTitle(one.threads),
      color: colorOf(one),
    })),
  );
}

const distinct = (values) => [...new Set(values)];

/**
 * @param {object} json the result of toJson; figures of contenders that are not measured yet are null
 * @param {{ document: Document, width: number, task?: string, dtype?: string }} options
 * @returns {SVGSVGElement | null} GFLOP/s of one task; null if the task was not measured
 */
export function chart(json, { document, width, task = 'forward', dtype = 'float32' }) {
  const bars = barsOf(
    json.measurements.filter((one) => one.task === task && one.dtype === dtype && !isOverhead(one.shape)),
  );
  if (bars.length === 0) return null;
  const isWide = width >= minWidthOfColumns;
  const { nameWidth, labelWidth, rowHeight, groupGap, inset } = isWide ? wide : narrow;
  const nameOf = ({ label, columns }) => (isWide ? label : `${label}, ${columns}`);
  const rows = distinct(bars.map(nameOf));
  const shapeNames = distinct(bars.map(({ shape }) => shape));
  const columnCount = isWide ? distinct(bars.map(({ threads }) => threads)).length : 1;
  const barWidth = (width - nameWidth) / columnCount - labelWidth;
  const maxRate = Math.max(1, ...bars.flatMap(({ rate, ceiling }) => [rate, ceiling ?? 0]));
  const groupHeight = rows.length * rowHeight + groupGap;
  const position = { fy: 'shape', y: nameOf, ...(isWide && { fx: 'columns' }) };
  const text = { textAnchor: 'start', fill: 'currentColor', fontSize: isWide ? 10 : 11 };
  return Plot.plot({
    document,
    width,
    height: 42 + shapeNames.length * groupHeight,
    marginLeft: nameWidth,
    marginRight: 4,
    marginTop: 34,
    marginBottom: 8,
    // The scale ends beyond the longest bar: its label needs space.
    x: { domain: [0, (maxRate * (barWidth + labelWidth)) / barWidth], axis: null },
    y: { domain: rows, axis: null, padding: 0.16 },
    fx: { label: null, padding: 0.02, axis: 'top' },
    fy: { domain: shapeNames, label: null, padding: groupGap / groupHeight, axis: isWide ? 'left' : null },
    color: { type: 'identity' },
    style: { fontSize: '11px', overflow: 'visible' },
    marks: [
      Plot.barX(bars, { ...position, x: 'rate', fill: 'color', insetTop: inset, rx: 1 }),
      Plot.tickX(
        bars.filter(({ ceiling }) => ceiling !== null),
        { ...position, x: 'ceiling', stroke: 'currentColor', strokeWidth: 1.2, insetTop: inset },
      ),
      Plot.text(bars, {
        ...position,
        ...text,
        x: ({ rate, ceiling }) => Math.max(rate, ceiling ?? 0),
        text: isWide ? (bar) => `${bar.text}  ${nameOf(bar)}` : 'text',
        dx: 5,
        dy: inset / 2,
      }),
      ...(isWide
        ? []
        : [
            Plot.text(bars, { ...position, ...text, x: 0, text: nameOf, dy: -inset / 2 + 1 }),
            Plot.text(shapeNames, {
              ...text,
              fy: (name) => name,
              text: (name) => name,
              frameAnchor: 'top-left',
              lineAnchor: 'bottom',
              fontWeight: 600,
              dy: -4,
            }),
          ]),
    ],
  });
}
