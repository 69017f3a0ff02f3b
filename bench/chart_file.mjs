// Writes charts as self-contained SVG files with light and dark colours.
import { parseHTML } from 'linkedom';
import { chart } from './chart.mjs';
import { scalingPanels } from './scaling_chart.mjs';
import { tasks } from './shapes.mjs';

const width = 860;
const padding = 20;
const { document } = parseHTML('<!doctype html><html><body></body></html>');

const style = `
  svg { --card: #ffffff; --border: #d8d8e0; color: #26262e; font-family: system-ui, sans-serif; }
  @media (prefers-color-scheme: dark) {
    svg { --card: #16161d; --border: #34343f; color: #e4e4ea; --plot-background: #16161d;
      --chart-ours: #8b7ff0; --chart-ours-baseline: #544a9c; --chart-peer-1: #d98a3a; --chart-peer-2: #d9635f;
      --chart-peer-3: #35ab9c; --chart-peer-4: #77777f; }
  }
  .card { fill: var(--card); stroke: var(--border); }
  .title { font-size: 15px; font-weight: 600; fill: currentColor; }
  .note { font-size: 11px; fill: currentColor; opacity: 0.72; }
`;

const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
const textAt = (className, y, text) =>
  `<text class="${className}" x="${padding}" y="${y}">${escape(text)}</text>`;

function markupAt(svg, x, y) {
  svg.setAttribute('x', x);
  svg.setAttribute('y', y);
  return svg.outerHTML;
}

const heightOf = (svg) => Number(svg.getAttribute('height'));

function file(height, title, content) {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"`,
    `  viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escape(title)}</title>`,
    `<style>${style}</style>`,
    `<rect class="card" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>`,
    ...content,
    '</svg>',
    '',
  ].join('\n');
}

const machineText = ({ processor, cores, node }) => `${processor}, ${cores} cores, Node ${node}`;

/** The charts of the other tasks look nearly the same. */
const shownTasks = ['forward', 'training'];

/** Returns an SVG file with a chart for each task, one below the other. */
export function chartFile(json) {
  const content = [];
  let y = padding + 12;
  for (const task of shownTasks) {
    const svg = chart(json, { document, width: width - 2 * padding, task });
    if (svg === null) continue;
    content.push(textAt('title', y, `GFLOP/s, ${tasks[task].title}`), markupAt(svg, padding, y + 8));
    y += 8 + heightOf(svg) + 34;
  }
  content.push(
    textAt('note', y, `Longer is faster. Line: the microkernel alone. ${machineText(json.machine)}.`),
  );
  return file(y + padding, 'GFLOP/s of diffusion-cross-attention and other libraries', content);
}

/** Returns an SVG file with the charts of all curves. */
export function scalingChartFile(json) {
  const [panelWidth, panelHeight] = [(width - 2 * padding) / json.curves.length, 190];
  const top = padding + 26;
  const panels = scalingPanels(json, { document, width: panelWidth, height: panelHeight });
  const bottom = top + 2 * panelHeight + 24;
  const note =
    'Sizes that do not vary: 320 channels, 32² tokens, 77 keys of 768. MB: without input, output, weights. ' +
    `${machineText(json.machine)}.`;
  return file(bottom + padding, 'Time and memory of a forward pass by size', [
    textAt('title', padding + 12, 'Time and memory of a forward pass'),
    ...panels.map(({ svg, column, row }) =>
      markupAt(svg, padding + column * panelWidth, top + row * panelHeight),
    ),
    textAt('note', bottom, note),
  ]);
}
