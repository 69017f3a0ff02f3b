// node tools/screenshot.mjs: updates the pictures of the pages in the README, in light colours and 1280
// pixels wide. Requires dist/ (npm run build).
import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { openSite } from '../support/browser/paint_page.mjs';
import { openSiteAt, Visit } from '../support/browser/visit.mjs';
import { project } from './lib/paths.mjs';
import { main, step } from './lib/steps.mjs';

const options = { viewport: { width: 1280, height: 960 }, colorScheme: 'light' };

/** Saves a page from `top` to `bottom` as docs/images/`name`. Returns the file's name and size. */
async function save(page, name, top, bottom) {
  const file = path.join(project, 'docs/images', name);
  mkdirSync(path.dirname(file), { recursive: true });
  await page.screenshot({
    path: file,
    fullPage: true,
    clip: { x: 0, y: top, width: 1280, height: bottom - top },
  });
  return `${path.relative(project, file)}, ${(statSync(file).size / 1000).toFixed(0)} KB`;
}

/** A finished painting and the attention maps, without the explanations that follow. */
async function paint() {
  const site = await openSite();
  try {
    const visit = await site.visit(options);
    await visit.waitForStatus('finished', 120_000);
    const maps = await visit.page.locator('#attention-grid').boundingBox();
    const bottom = Math.ceil(maps.y + maps.height + 24);
    const saved = await save(visit.page, 'paint-by-attention.png', 0, bottom);
    await visit.leave();
    return saved;
  } finally {
    await site.close();
  }
}

/** The first picture, the same picture with a word changed, and the attention to each word. */
async function create() {
  const site = await openSiteAt('/create/', Visit);
  try {
    const visit = await site.visit(options);
    const { page } = visit;
    const finished = page.locator('#status[data-status="finished"]');
    await finished.waitFor();
    await page.evaluate(() => (document.getElementById('status').dataset.status = 'awaited'));
    await page.getByLabel('Edited prompt').fill('a green circle above a blue square');
    await visit.button('Edit').click();
    await finished.waitFor();
    const part = await page.locator('#studio').boundingBox();
    const saved = await save(
      page,
      'create.png',
      Math.floor(part.y - 12),
      Math.ceil(part.y + part.height + 12),
    );
    await visit.leave();
    return saved;
  } finally {
    await site.close();
  }
}

await main(async () => {
  await step('Paint by attention', paint);
  await step('Text to image', create);
});
