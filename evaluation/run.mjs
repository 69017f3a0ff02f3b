// npm run evaluate: how well the model's pictures match their prompts. `npm run evaluate -- --help` lists the options.
// The analyser is tested first, on drawn scenes. If it fails, no picture is judged and the exit code is 1.
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
import { isProven, proveAnalyser } from './ground_truth.mjs';
import { teachWord, wordPictures } from './new_word.mjs';
import { command } from './options.mjs';
import { playPointing } from './pointing.mjs';
import { choosePrompts } from './prompts.mjs';
import { figuresOf } from './rates.mjs';
import { figuresMarkdown, figuresTable, proofText, targetTexts } from './report.mjs';

const given = readCommandLine(command);
// Half of the prompts are seen in training, half are held out.
const options = { ...given, prompts: 2 * Math.ceil(given.prompts / 2) };

const size = 32;
const provenScenes = 2000;
// Each of them is judged by all prompts: more would not make the rate more certain than it is.
const mostUnconditional = 100;
const sheetPictures = 64;
const edits = 100;
const lessonSeconds = 85;

/** `work(tick)` calls `tick` `total` times. On a terminal it is seen how far it is. */
function withBar(title, total, work) {
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
  const made = generate(denoiser, entry.prompt, entry.seed, options);
  const found = analysePicture(made.picture);
  return {
    ...entry,
    picture: made.picture,
    found,
    judgement: adheres(found, entry.scene),
    pointing: playPointing(found, entry.scene, made, size),
  };
}

/** With the prompt empty, guidance has nothing to lead towards: 1 is none. */
const readUnconditional = (denoiser, { seed }) =>
  analysePicture(generate(denoiser, '', seed, { steps: options.steps, guidance: 1 }).picture);

function evaluate(denoiser) {
  const prompts = choosePrompts(randomScene, options.prompts, options.seed);
  const start = performance.now();
  const records = withBar('Pictures', prompts.length, (tick) =>
    prompts.map((entry) => {
      const record = judge(denoiser, entry);
      tick();
      return record;
    }),
  );
  const secondsPerPicture = (performance.now() - start) / 1000 / prompts.length;
  const blank = prompts.slice(0, mostUnconditional);
  const unconditional = withBar('Without a prompt', blank.length, (tick) =>
    blank.map((entry) => {
      const found = readUnconditional(denoiser, entry);
      tick();
      return found;
    }),
  );
  return { records, secondsPerPicture, figures: figuresOf(records, unconditional) };
}

/** What is written of a record: no pictures, no masks. */
function toJson({ split, seed, prompt, found, judgement, pointing }) {
  const objects = found.objects.map(({ mask: _, ...object }) => object);
  return { split, seed, prompt, background: found.background, objects, ...judgement, pointing };
}

const writeOut = (name, content) => writeFileSync(path.join(options.out, name), content);

/** Adherence and the pointing game, with a sheet of pictures; its figures. */
function judgeAdherence(denoiser) {
  const { records, secondsPerPicture, figures } = evaluate(denoiser);
  writeOut('evaluation.md', figuresMarkdown(figures, options));
  const shown = records.slice(0, sheetPictures);
  // Seen ones above, held-out ones below.
  shown.sort((a, b) => Number(a.split === 'heldOut') - Number(b.split === 'heldOut'));
  const sheet = shown.map(({ picture, judgement }) => ({ picture, ok: judgement.ok }));
  writeOut('contact_sheet.png', contactSheet(sheet, size));
  console.log(`\n${figuresTable(figures)}\n`);
  return { figures, secondsPerPicture, records: records.map(toJson) };
}

/** What was asked for, part by part. */
function judgeAll(denoiser) {
  const results = {};
  if (options.parts.includes('adherence')) results.adherence = judgeAdherence(denoiser);
  if (options.parts.includes('edits')) {
    results.edits = withBar('Edits', edits, (tick) =>
      judgeEdits(denoiser, randomScene, { ...options, count: edits }, tick),
    );
  }
  // The last one: it changes the model.
  if (options.parts.includes('word')) {
    const lesson = withBar('A new word', wordPictures, (tick) =>
      teachWord(denoiser, { ...options, seconds: lessonSeconds }, tick),
    );
    const { samples, ...figures } = lesson;
    results.word = figures;
    writeOut('new_word.png', contactSheet(samples, size));
  }
  return results;
}

// Before the proof, which takes a minute: a wrong path is told at once.
const weights = new Uint8Array(readFileSync(options.weights));
await init({ threads: options.threads });
const proof = withBar('Analyser', provenScenes, (tick) =>
  proveAnalyser(randomScene, provenScenes, options.seed, tick),
);
console.log(proofText(proof));
if (isProven(proof)) {
  const denoiser = Denoiser.load(weights);
  try {
    mkdirSync(options.out, { recursive: true });
    const results = judgeAll(denoiser);
    const summary = { date: new Date().toISOString(), machine: machine(), options, proof };
    writeOut('evaluation.json', `${JSON.stringify({ ...summary, ...results }, null, 2)}\n`);
    const targets = targetTexts(results);
    for (const { text } of targets) console.log(text);
    console.log(`All figures: ${options.out}`);
    if (options.check && !targets.every(({ met }) => met)) process.exitCode = 1;
  } finally {
    denoiser.dispose();
  }
} else {
  console.error('That is too few for its judgement to count.');
  process.exitCode = 1;
}
