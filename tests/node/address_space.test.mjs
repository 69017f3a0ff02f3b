// The allocator up to the limit of 4 GiB, with random sizes and lifetimes.
import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import { project, runNode } from '../support/child.mjs';
import { isFullRun } from '../support/full_run.mjs';
import { variant } from '../support/variant.mjs';

const script = path.join(project, 'tests/support/address_space.mjs');
const minUsable = 3.75 * 2 ** 30;

async function runSteps(module, seed, steps) {
  const { code, output, errors } = await runNode([script, module, variant, String(seed), String(steps)], {
    seconds: 500,
  });
  assert.equal(code, 0, `seed ${seed}: ${errors}`);
  const { usable, maxBytes, refused, allocated } = JSON.parse(output);
  assert.ok(usable >= minUsable, `seed ${seed}: after all blocks were freed, ${usable} bytes are usable`);
  return { maxBytes, refused, allocated };
}

describe(`the allocator of ${variant}`, () => {
  const seeds = isFullRun ? [1, 2, 3, 4, 5] : [1];
  for (const seed of seeds) {
    test(`layer: blocks are intact and counted up to 4 GiB, seed ${seed}`, async (context) => {
      const { maxBytes, refused, allocated } = await runSteps('cross-attention', seed, isFullRun ? 1000 : 60);
      context.diagnostic(`${allocated} blocks, ${refused} refused, at most ${maxBytes} bytes`);
      assert.ok(maxBytes >= minUsable && refused > 0, 'expected the random sizes to fill the memory');
    });
  }

  // Its blocks are zeroed: each of 4 GiB's pages is written.
  const options = { skip: isFullRun ? false : 'writes 4 GiB; runs in npm run test:full' };
  test('denoiser: blocks are intact up to 4 GiB', options, async () => {
    assert.ok((await runSteps('denoiser', 1, 5)).refused > 0);
  });
});
