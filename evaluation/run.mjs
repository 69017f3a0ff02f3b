// npm run evaluate: measures how well the model's pictures match their prompts. `npm run evaluate -- --help`
// lists the options. The analyser is first tested on drawn scenes. If it fails, no picture is judged and the
// exit code is 1.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { SingleBar } from 'cli-progress';
import { Denoiser, init, randomScene } from 'diffusion-cross-attention/denoiser';
import { machine } from '../support/machine.mjs';
import { readCommandLine } from '../tools/lib/command_line.mjs';
import { adheres, analysePicture } from './analyser/index.mjs';
import { contactSheet } from './contact_sheet.mjs';
import { judgeEdits } from './editing.mjs';
import { generate } from './generation.mjs';
import { isAccurate, testAnalyser } from './ground_truth.mjs';
import { judgeNewWord, newWordPictures } from './new_word.mjs';
import { command } from './options.mjs';
import { playPointing } from './pointing.mjs';
import { choosePrompts } from './prompts.mjs';
import { figuresOf } from './rates.mjs';
import { analyserTestText, figuresMarkdown, figuresTable, targetTexts } from './report.mjs';

const parsed = readCommandLine(command);
// Half of the prompts have combinations seen in training, half have held-out ones.
const options = { ...parsed, prompts: 2 * Math.ceil(parsed.prompts / 2) };

const size = 32;
const testScenes = 2000;
// Each unconditional picture is judged by all prompts, so more pictures hardly improve the estimate.
const maxUnconditional = 100;
const sheetPictures = 64;
const edits = 100;
const fineTuningSeconds = 85;

/** Runs `work(tick)`, which calls `tick` `total` times. Shows a progress bar on a terminal. */
function withProgress(title, total, work) {
  const bar = new SingleBar({
    format: `${title} {bar} {value} of {total}, {duration_formatted}, {eta_formatted} to go`,
    clearOnComplete: true,
    hideCursor: true,
  });
  bar.start(total, 0);
  try {
    return work(() => bar.increment());
  } finally {
    bar.stop();
  }
}

function judge(denoiser, entry) {
  const generated = generate(denoiser, entry.prompt, entry.seed, options);
  const found = analysePicture(generated.picture);
  return {
    ...entry,
    picture: generated.picture,
    found,
    judgement: adheres(found, entry.scene),
    pointing: playPointing(found, entry.scene, generated, size),
  };
}

/**
 * Reads a picture of the empty prompt. The guidance is 1, which means none, because there is no prompt to
 * guide towards.
 */
const readUnconditional = (denoiser, { seed }) =>
  analysePicture(generate(denoiser, '', seed, { steps: options.steps, guidance: 1 }).picture);

function evaluate(denoiser) {
  const prompts = choosePrompts(randomScene, options.prompts, options.seed);
  const start = performance.now();
  const records = withProgress('Pictures', prompts.length, (tick) =>
    prompts.map((entry) => {
      const record = judge(denoiser, entry);
      tick();
      return record;
    }),
  );
  const secondsPerPicture = (performance.now() - start) / 1000 / prompts.length;
  const blank = prompts.slice(0, maxUnconditional);
  const unconditional = withProgress('Without a prompt', blank.length, (tick) =>
    blank.map((entry) => {
      const found = readUnconditional(denoiser, entry);
      tick();
      return found;
    }),
  );
  return { records, secondsPerPicture, figures: figuresOf(records, unconditional) };
}

/** Returns the part of a record that is written to the file: no pictures and no masks. */
function toJson({ split, seed, prompt, found, judgement, pointing }) {
  const objects = found.objects.map(({ mask: _, ...object }) => object);
  return { split, seed, prompt, background: found.background, objects, ...judgement, pointing };
}

const writeOut = (name, content) => writeFileSync(path.join(options.out, name), content);

/** Judges adherence and the pointing game, and writes a contact sheet. Returns the figures. */
function judgeAdherence(denoiser) {
  const { records, secondsPerPicture, figures } = evaluate(denoiser);
  writeOut('evaluation.md', figuresMarkdown(figures, options));
  const shown = records.slice(0, sheetPictures);
  // Seen combinations first, then held-out ones.
  shown.sort((a, b) => Number(a.split === 'heldOut') - Number(b.split === 'heldOut'));
  const sheet = shown.map(({ picture, judgement }) => ({ picture, ok: judgement.ok }));
  writeOut('contact_sheet.png', contactSheet(sheet, size));
  console.log(`\n${figuresTable(figures)}\n`);
  return { figures, secondsPerPicture, records: records.map(toJson) };
}

/** Runs the selected parts. */
function judgeAll(denoiser) {
  const results = {};
  if (options.parts.includes('adherence')) results.adherence = judgeAdherence(denoiser);
  if (options.parts.includes('edits')) {
    results.edits = withProgress('Edits', edits, (tick) =>
      judgeEdits(denoiser, randomScene, { ...options, count: edits }, tick),
    );
  }
  // This part is the last because it changes the model.
  if (options.parts.includes('word')) {
    const { samples, ...figures } = withProgress('A new word', newWordPictures, (tick) =>
      judgeNewWord(denoiser, { ...options, seconds: fineTuningSeconds }, tick),
    );
    results.word = figures;
    writeOut('new_word.png', contactSheet(samples, size));
  }
  return results;
}

// Read before the analyser's test, which takes a minute, so that a wrong path is reported at once.
const weights = new Uint8Array(readFileSync(options.weights));
await init({ threads: options.threads });
const analyserTest = withProgress('Analyser', testScenes, (tick) =>
  testAnalyser(randomScene, testScenes, options.seed, tick),
);
console.log(analyserTestText(analyserTest));
if (isAccurate(analyserTest)) {
  const denoiser = Denoiser.load(weights);
  try {
    mkdirSync(options.out, { recursive: true });
    const results = judgeAll(denoiser);
    const summary = { date: new Date().toISOString(), machine: machine(), options, analyserTest };
    writeOut('evaluation.json', `${JSON.stringify({ ...summary, ...results }, null, 2)}\n`);
    const targets = targetTexts(results);
    for (const { text } of targets) console.log(text);
    console.log(`All figures: ${options.out}`);
    if (options.check && !targets.every(({ met }) => met)) process.exitCode = 1;
  } finally {
    denoiser.dispose();
  }
} else {
  console.error('The analyser is not accurate enough; no picture was judged.');
  process.exitCode = 1;
}
