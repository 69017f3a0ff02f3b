// node tools/screenshot.mjs: updates docs/images/paint-by-attention.png, the picture in the README. It shows
// the page with a finished painting, in light colours, 1280 pixels wide. Requires dist/ (npm run build).
import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { openSite } from '../support/browser/paint_page.mjs';
import { project } from './lib/paths.mjs';
import { main, step } from './lib/steps.mjs';

const file = path.join(project, 'docs/images/paint-by-attention.png');

await main(() =>
  step('screenshot of a finished painting', async () => {
    mkdirSync(path.dirname(file), { recursive: true });
    const site = await openSite();
    try {
      const visit = await site.visit({ viewport: { width: 1280, height: 960 }, colorScheme: 'light' });
      await visit.waitForStatus('finished', 120_000);
      // The picture ends below the attention maps, without the explanations that follow.
      const maps = await visit.page.locator('#attention-grid').boundingBox();
      const height = Math.ceil(maps.y + maps.height + 24);
      await visit.page.screenshot({
        path: file,
        fullPage: true,
        clip: { x: 0, y: 0, width: 1280, height },
      });
      await visit.leave();
    } finally {
      await site.close();
    }
    return `${path.relative(project, file)}, ${(statSync(file).size / 1000).toFixed(0)} KB`;
  }),
);
