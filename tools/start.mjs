// npm start: the demo site, with all that it takes to build it, at an address of this machine.
import path from 'node:path';
import { buildCeilings, buildDist } from './lib/build.mjs';
import { project } from './lib/paths.mjs';
import { bold, main, step } from './lib/steps.mjs';

await main(async () => {
  await buildCeilings(await buildDist());
  let server;
  await step('site', async () => {
    const { createServer } = await import('vite');
    server = await createServer({
      configFile: path.join(project, 'web/vite.config.ts'),
      logLevel: 'warn',
    });
    await server.listen();
  });
  const address = server.resolvedUrls.local[0];
  console.log(
    `\n  ${bold('Text to image')} is at ${bold(address)}` +
      `\n  Paint by attention at ${bold(`${address}paint/`)}` +
      `\n  the benchmark at ${bold(`${address}bench.html`)}\n  Ctrl+C ends it.`,
  );
  const hasDesktop = process.platform !== 'linux' || process.env.DISPLAY || process.env.WAYLAND_DISPLAY;
  if (hasDesktop && !process.env.CI) {
    const { default: open } = await import('open');
    await open(address);
  }
});
