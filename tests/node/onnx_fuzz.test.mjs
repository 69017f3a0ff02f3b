// Mutated ONNX files: fromOnnx reads them or throws WeightsError. `npm run fuzz` tries more of them.
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { runs } from '../support/arbitraries.mjs';
import { isFullRun } from '../support/full_run.mjs';
import { checkFile, files } from '../support/onnx_fuzz.mjs';

const corpus = new URL('../fuzz/corpus/onnx/', import.meta.url);

test('random mutations', () => fc.assert(fc.property(files(), checkFile), runs(isFullRun ? 10_000 : 500)));

for (const name of readdirSync(corpus)) {
  test(`the file ${name} of the corpus`, () => checkFile(readFileSync(new URL(name, corpus))));
}
