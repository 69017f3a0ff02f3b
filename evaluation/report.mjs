// The figures as text: a table for the terminal, and one in Markdown.
import { table } from '../bench/report.mjs';

/** The share of words whose map must point at their object. */
export const leastPointing = 0.85;

const titles = {
  adherence: 'Adherence: all objects, nothing else, all relations',
  colours: 'Colours alone',
  shapes: 'Shapes alone',
  sizes: 'Sizes that are said, of objects found',
  backgrounds: 'Backgrounds that are said',
  pointing: 'Pointing game, one and two objects',
  unconditional: 'Without a prompt',
  chance: 'Chance: another prompt’s picture',
};

/** Rows of [title, seen, held out]. */
function rowsOf({ splits: { training, heldOut } }) {
  const row = (title, figureOf) => [title, cellOf(figureOf(training)), cellOf(figureOf(heldOut))];
  const group = (name, titleOf) =>
    [...new Set([...Object.keys(training[name]), ...Object.keys(heldOut[name])])].map((key) =>
      row(titleOf(key), (figures) => figures[name][key]),
    );
  const plain = (name) => row(titles[name], (figures) => figures[name]);
  return [
    plain('adherence'),
    ...group('byObjects', (count) => `– with ${count} ${count === '1' ? 'object' : 'objects'}`),
    ...group('byRelation', (relation) => `Relation “${relation}” holds`),
    ...['colours', 'shapes', 'sizes', 'backgrounds', 'pointing', 'unconditional', 'chance'].map(plain),
  ];
}

const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;

function cellOf(figure) {
  if (figure === undefined || figure.share === null) return '–';
  if (figure.pairs !== undefined) return percent(figure.share, 2);
  return `${percent(figure.share)} (${percent(figure.low)} – ${percent(figure.high)}; ${figure.of})`;
}

const head = ['', 'seen', 'held out'];

export function figuresTable(figures) {
  return `${table([head, ...rowsOf(figures)])}\n  In brackets: the 95 % interval, and how many were judged.`;
}

export function figuresMarkdown(figures, { prompts, steps, guidance, seed }) {
  const lines = [head, head.map((_, column) => (column === 0 ? '---' : '---:')), ...rowsOf(figures)];
  const chosen = guidance === undefined ? 'the default guidance' : `guidance ${guidance}`;
  return (
    `${lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n\n` +
    `${prompts} prompts, ${steps} steps, ${chosen}, seed ${seed}. In brackets: the 95 % interval (Wilson), and how many ` +
    'were judged.\n'
  );
}

export function proofText({ count, clean, noisy }) {
  return `The analyser reads ${clean} of ${count} drawn scenes right, with noise ${noisy}.`;
}

export const meetsPointing = ({ pointing }) => pointing.share !== null && pointing.share >= leastPointing;

export function pointingText(figures) {
  const { share, of } = figures.pointing;
  if (share === null) return 'Pointing game: no object was found, so there was nothing to point at.';
  const met = meetsPointing(figures) ? 'met' : 'missed';
  return `Pointing game: ${percent(share)} of ${of} words; target ${percent(leastPointing, 0)}: ${met}.`;
}
