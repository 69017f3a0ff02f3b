// Training of a denoiser on WebGPU in a page, compared with the same steps in WebAssembly. Uses the software
// adapter, so that every machine can run it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { project } from '../../tools/lib/paths.mjs';
import { launchChromium, webGpuSwitches } from '../../support/browser/chromium.mjs';
import { resultOfPage } from './support/exercise_page.mjs';
import { isolationHeaders, serve } from '../../support/browser/server.mjs';

/**
 * Relative tolerance of a loss: rounding errors, which Adam amplifies if a gradient is near zero. See
 * tests/webgpu/denoiser_training.
 */
const tolerance = 1e-5;
const steps = 3;

describe('training on WebGPU in a browser', () => {
  let browser;
  let isolated;
  let plain;
  before(async () => {
    browser = await launchChromium({ switches: webGpuSwitches.swiftshader });
    isolated = await serve(project, isolationHeaders);
    plain = await serve(project);
  });
  after(() => Promise.all([browser, isolated, plain].map((resource) => resource.close())));

  for (const [name, serverOf, where, threads] of [
    ['isolated, with threads, in a worker', () => isolated, 'worker', true],
    ['not isolated, in a page', () => plain, 'page', false],
  ]) {
    test(`${name}: losses equal those of WebAssembly, and all memory is freed`, async (t) => {
      const query = new URLSearchParams({ where, options: JSON.stringify({ steps }) });
      const address = `${serverOf().origin}/tests/browser/pages/denoiser_training.html?${query}`;
      const { result, loaded } = await resultOfPage(browser, address);
      assert.equal(result.runtime.threads > 1, threads);
      assert.match(result.description, /swiftshader/);
      assert.ok(loaded.some((file) => file.endsWith('/denoiser_webgpu.js')));
      result.expected.forEach((loss, step) => {
        const difference = Math.abs(result.found[step] - loss);
        assert.ok(
          difference <= tolerance * loss,
          `loss of step ${step} is ${result.found[step]}; expected ${loss}`,
        );
      });
      const [expected, next] = result.next;
      assert.equal(next.step, steps + 1);
      assert.ok(Math.abs(next.loss - expected.loss) <= tolerance * expected.loss);
      assert.ok(result.isFinite);
      assert.equal(result.devices, 1);
      assert.deepEqual(result.remaining, { buffers: 0, memoryInUse: 0 });
      t.diagnostic(`${result.description}: losses ${result.found}; expected ${result.expected}`);
    });
  }
});
