// The figures as text: a table for the terminal, and one in Markdown.
import { table } from '../bench/report.mjs';

// What is wanted of the model: shares, and seconds on two cores.
const leastSeen = 0.95;
const leastHeldOut = 0.85;
const leastPointing = 0.85;
const mostSeconds = 2;
const leastChanged = 0.8;
const mostDifference = 0.05;
const leastRecognised = 0.8;

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

/**
 * What was reached and what is wanted, a line each: { text, met }. `results`: { adherence, edits, word }, those that were
 * judged.
 */
export function targetTexts({ adherence, edits, word }) {
  const lines = [];
  const add = (name, value, target, met) =>
    lines.push({ met, text: `${met ? '✓' : '✗'} ${name}: ${value}; wanted ${target}` });
  const atLeast = (name, { share, of }, least) =>
    share === null
      ? add(name, 'nothing to judge', `≥ ${percent(least, 0)}`, false)
      : add(name, `${percent(share)} of ${of}`, `≥ ${percent(least, 0)}`, share >= least);
  if (adherence) {
    const { splits, pointing } = adherence.figures;
    atLeast('Adherence, seen combinations', splits.training.adherence, leastSeen);
    atLeast('Adherence, held-out combinations', splits.heldOut.adherence, leastHeldOut);
    atLeast('Pointing game, one and two objects', pointing, leastPointing);
    const seconds = adherence.secondsPerPicture;
    add('A picture, read', `${seconds.toFixed(2)} s`, `≤ ${mostSeconds} s`, seconds <= mostSeconds);
  }
  if (edits) {
    atLeast('A replaced colour changes the object that it names', edits.changed, leastChanged);
    const { difference } = edits;
    const few = difference <= mostDifference && edits.edits.length > 0;
    add('… and the other one by', percent(difference), `≤ ${percent(mostDifference, 0)}`, few);
  }
  if (word) {
    const name = `A new word, recognised and in its colour after ${word.steps} steps`;
    atLeast(name, word.recognised, leastRecognised);
    const told = ({ share, of }) => `${percent(share)} of ${of}`;
    // Wanted by nobody, but worth knowing.
    lines.push({
      met: true,
      text: `  Where no colour is said, the shape alone: ${told(word.unsaid)}; of a known shape, ${told(word.unsaidKnown)}`,
    });
  }
  return lines;
}
