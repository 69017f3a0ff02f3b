// Runs every snippet of docs/webgpu.md.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { project } from '../../tools/lib/paths.mjs';
import { launchChromium, newWatchedPage, webGpuSwitches } from '../../support/browser/chromium.mjs';
import { isolationHeaders, serve } from '../../support/browser/server.mjs';

const importMap = { imports: { 'diffusion-cross-attention': '/dist/index.js' } };

/** Returns the snippets of each page. Snippets between two marks run in the same page. */
async function readPages() {
  const guide = await readFile(path.join(project, 'docs/webgpu.md'), 'utf8');
  const snippets = (text) => Array.from(text.matchAll(/^```js\n(.*?)^```$/gms), ([, code]) => code);
  return guide.split('<!-- another page -->').map((part, number, parts) => {
    const codes = snippets(part);
    // The snippets after the first one of the other page continue the first page.
    return number === parts.length - 1 ? codes.slice(0, 1) : [...codes, ...snippets(parts.at(-1)).slice(1)];
  });
}

describe('the WebGPU guide', () => {
  let browser;
  let server;
  before(async () => {
    browser = await launchChromium({ switches: webGpuSwitches.swiftshader });
    server = await serve(project, isolationHeaders);
  });
  after(() => Promise.all([browser.close(), server.close()]));

  test('its snippets run', async (t) => {
    const pages = await readPages();
    assert.equal(pages.length, 2);
    for (const snippets of pages) {
      // 'auto' does not use the software adapter of the tests.
      const code = snippets.join('\n').replace("device: 'auto'", "device: 'webgpu'");
      const { output, problems } = await runInPage(code);
      t.diagnostic(`${snippets.length} snippets: ${output.length} lines on the console`);
      assert.deepEqual(problems, []);
      assert.ok(output.some((line) => line.includes('webgpu')));
      assert.equal(output.at(-1), 'the end');
    }
  });

  async function runInPage(code) {
    const address = `${server.origin}/guide.html`;
    const { page, problems, close } = await newWatchedPage(browser, server.origin);
    const output = [];
    const ended = new Promise((resolve) => {
      page.on('pageerror', resolve);
      page.on('console', (message) => {
        output.push(message.text());
        if (message.text() === 'the end') resolve();
      });
    });
    const body =
      '<!doctype html><html lang="en"><link rel="icon" href="/web/shared/icon.svg">' +
      `<script type="importmap">${JSON.stringify(importMap)}</script>` +
      `<script type="module">${code}\nconsole.log('the end');</script></html>`;
    await page.route(address, (route) =>
      route.fulfill({ contentType: 'text/html', headers: isolationHeaders, body }),
    );
    try {
      await page.goto(address);
      await ended;
      return { output, problems };
    } finally {
      await close();
    }
  }
});
