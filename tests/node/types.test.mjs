// The package's declarations fulfil the contract (see tests/types).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as attention from 'diffusion-cross-attention';
import { project, runNode } from '../support/child.mjs';

for (const [description, file] of [
  ['the contract and typical programs', 'tsconfig.json'],
  ['a program without the DOM types', 'without_dom.tsconfig.json'],
]) {
  test(`the compiler accepts ${description}`, async () => {
    const compiler = 'node_modules/typescript/bin/tsc';
    const { code, output } = await runNode([compiler, '--noEmit', '-p', `tests/types/${file}`]);
    assert.equal(code, 0, output);
  });
}

test('every class and function of the contract is exported at run time', () => {
  const text = readFileSync(`${project}/tests/types/contract.d.ts`, 'utf8');
  const names = [...text.matchAll(/^export (?:class|function) (\w+)/gm)].map((match) => match[1]);
  assert.ok(names.length >= 14, names.join());
  for (const name of names) assert.equal(typeof attention[name], 'function', name);
});

test('every member of the contract exists at run time', () => {
  const text = readFileSync(`${project}/tests/types/contract.d.ts`, 'utf8');
  for (const name of ['Tensor', 'DiffusionCrossAttention']) {
    const body = text.match(new RegExp(`export class ${name} \\{([^]*?)\\n\\}`))[1];
    const isStatic = (line) => line.startsWith('  static');
    for (const line of body.split('\n')) {
      const member = line.match(/^ {2}(?:static |readonly )?(\w+)[(:]/)?.[1];
      if (member === undefined || member === 'constructor') continue;
      const holder = isStatic(line) ? attention[name] : attention[name].prototype;
      // Plain properties belong to instances; parameters.test.mjs and tensor.test.mjs check them.
      const isProperty = /^ {2}readonly/.test(line) || line.startsWith('  training');
      if (!isProperty) assert.equal(typeof holder[member], 'function', `${name}.${member}`);
    }
    assert.equal(typeof attention[name].prototype[Symbol.dispose], 'function');
  }
});
