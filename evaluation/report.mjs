// Formats the figures as tables for the terminal and in Markdown.
import { table } from '../bench/report.mjs';

// Targets: shares, and seconds on two cores.
const minSeen = 0.95;
const minHeldOut = 0.85;
const minPointing = 0.85;
const maxSeconds = 2;
const minChanged = 0.8;
const maxDifference = 0.05;
const minRecognised = 0.8;

const titles = {
  adherence: 'Adherence: exactly the expected objects and relations',
  colours: 'Colours only',
  shapes: 'Shapes only',
  sizes: 'Sizes in the prompt, of objects found',
  backgrounds: 'Backgrounds in the prompt',
  pointing: 'Pointing game, one and two objects',
  unconditional: 'Without a prompt',
  chance: 'Chance: the picture of another prompt',
};

/** Returns rows of [title, seen, held out]. */
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
  return `${table([head, ...rowsOf(figures)])}\n  In brackets: the 95 % interval and the number of cases.`;
}

export function figuresMarkdown(figures, { prompts, steps, guidance, seed }) {
  const lines = [head, head.map((_, column) => (column === 0 ? '---' : '---:')), ...rowsOf(figures)];
  const guidanceText = guidance === undefined ? 'the default guidance' : `guidance ${guidance}`;
  return (
    `${lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n\n` +
    `${prompts} prompts, ${steps} steps, ${guidanceText}, seed ${seed}. ` +
    'In brackets: the 95 % interval (Wilson) and the number of cases.\n'
  );
}

export function analyserTestText({ count, clean, noisy }) {
  return `The analyser reads ${clean} of ${count} drawn scenes correctly, ${noisy} with noise.`;
}

/**
 * Returns a line { text, met } per target, with the value and the target. Parts of the evaluation that did
 * not run are undefined.
 */
export function targetTexts({ adherence, edits, word }) {
  const lines = [];
  const add = (name, value, target, met) =>
    lines.push({ met, text: `${met ? '✓' : '✗'} ${name}: ${value}; target ${target}` });
  const atLeast = (name, { share, of }, min) =>
    share === null
      ? add(name, 'no cases', `≥ ${percent(min, 0)}`, false)
      : add(name, `${percent(share)} of ${of}`, `≥ ${percent(min, 0)}`, share >= min);
  if (adherence) {
    const { splits, pointing } = adherence.figures;
    atLeast('Adherence, seen combinations', splits.training.adherence, minSeen);
    atLeast('Adherence, held-out combinations', splits.heldOut.adherence, minHeldOut);
    atLeast('Pointing game, one and two objects', pointing, minPointing);
    const seconds = adherence.secondsPerPicture;
    const isFast = seconds <= maxSeconds;
    add('Time to generate and read a picture', `${seconds.toFixed(2)} s`, `≤ ${maxSeconds} s`, isFast);
  }
  if (edits) {
    atLeast('Edits that change the named object', edits.changed, minChanged);
    const { difference } = edits;
    const met = difference <= maxDifference && edits.edits.length > 0;
    add('Mean change of the other object', percent(difference), `≤ ${percent(maxDifference, 0)}`, met);
  }
  if (word) {
    const name = `New word drawn in the requested colour after ${word.steps} steps`;
    atLeast(name, word.recognised, minRecognised);
    const rateText = ({ share, of }) => `${percent(share)} of ${of}`;
    const baseline = rateText(word.knownWithoutColour);
    // For information; there is no target.
    lines.push({
      met: true,
      text: `  New word without a colour: ${rateText(word.withoutColour)}; known word: ${baseline}`,
    });
  }
  return lines;
}
