// "Paint by attention" trains to the sample picture, with and without shared memory.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openSite } from '../../support/browser/paint_page.mjs';
import { processorSeconds } from './support/processor_seconds.mjs';

const minPsnr = 28;
/** Processor time of all threads of the page. */
const maxSeconds = 60;

for (const isolated of [true, false]) {
  describe(`the page, ${isolated ? 'cross-origin isolated' : 'without isolation'}`, () => {
    let site;
    let visit;
    /** Processor time and wall time from opening the page until it reaches minPsnr. */
    let seconds;
    before(async () => {
      site = await openSite({ isolated });
      const start = performance.now();
      visit = await site.visit({ viewport: { width: 1280, height: 900 } });
      await visit.waitForReading('psnr', minPsnr);
      const clock = (performance.now() - start) / 1000;
      seconds = { processor: await processorSeconds(visit.page), clock };
    });
    after(() => site.close());

    test(`paints the 64 × 64 sample to ${minPsnr} dB within ${maxSeconds} s of processor time`, async (t) => {
      const psnr = await visit.reading('psnr');
      const [pace, elapsed] = [await visit.reading('pace'), await visit.reading('elapsed')];
      t.diagnostic(
        `${psnr.toFixed(2)} dB with ${seconds.processor.toFixed(1)} s of processor time, ` +
          `${seconds.clock.toFixed(1)} s after opening the page, ` +
          `${elapsed.toFixed(1)} s of them training; ${pace.toFixed(0)} steps/s`,
      );
      assert.equal(await visit.menu('Pixels').inputValue(), '64');
      assert.ok(seconds.processor <= maxSeconds, `the page used ${seconds.processor} s of processor time`);
    });

    test('shows the runtime and the reasons', async (t) => {
      const shown = async (id) => (await visit.page.locator(`#runtime-${id}`).innerText()).trim();
      t.diagnostic(
        `SIMD ${await shown('simd')}; threads ${await shown('threads')}; ${await shown('isolation')}`,
      );
      assert.match(await shown('simd'), /^relaxed/);
      assert.match(await shown('device'), /WebAssembly/);
      assert.match(await shown('webgpu'), /requested/);
      const threads = Number(await visit.page.locator('#runtime-threads').getAttribute('data-value'));
      const cores = await visit.page.evaluate(() => navigator.hardwareConcurrency);
      assert.ok(cores > 1, 'this test requires a machine with more than one core');
      if (isolated) assert.ok(threads > 1 && threads <= cores, `${threads} threads`);
      else assert.equal(threads, 1);
      assert.match(
        await shown('isolation'),
        isolated ? /^cross-origin isolated/ : /headers Cross-Origin-Opener-Policy/,
      );
    });

    test('the PSNR that it shows is that of the painting', async () => {
      await visit.pause();
      const [target, painting] = [await visit.pixels('target'), await visit.pixels('painting')];
      assert.equal(painting.size, 64);
      assert.equal(target.size, 64);
      const psnr = peakSignalToNoiseRatio(target.bytes, painting.bytes);
      const shownPsnr = await visit.reading('psnr');
      // Rounding to bytes adds an error of at most ½/255 per colour to a root mean square of 10^(-psnr/20).
      const rootMeanSquare = 10 ** (-shownPsnr / 20);
      const tolerance = 20 * Math.log10((rootMeanSquare + 0.5 / 255) / rootMeanSquare);
      assert.ok(Math.abs(psnr - shownPsnr) <= tolerance, `${psnr} dB on the canvas, ${shownPsnr} dB shown`);
    });

    test('the training finishes after its planned steps', async (t) => {
      await visit.button('Resume').click();
      await visit.waitForStatus('finished');
      const [psnr, elapsed] = [await visit.reading('psnr'), await visit.reading('elapsed')];
      const steps = await visit.reading('steps');
      t.diagnostic(`${psnr.toFixed(2)} dB after ${steps} steps, ${elapsed.toFixed(1)} s of training`);
      assert.ok(psnr >= minPsnr);
      await visit.saveScreenshot(isolated ? 'painting-isolated' : 'painting-without-isolation');
    });

    test('the page reported no problems', () => visit.leave());
  });
}

/** Returns the PSNR of the colours of RGBA bytes, in dB. */
function peakSignalToNoiseRatio(expected, actual) {
  let sum = 0;
  for (let index = 0; index < expected.length; index++) {
    if (index % 4 !== 3) sum += ((expected[index] - actual[index]) / 255) ** 2;
  }
  return -10 * Math.log10(sum / ((expected.length / 4) * 3));
}
