// `npm start` prints an address and serves working pages. Ctrl+C stops it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import path from 'node:path';
import { after, test } from 'node:test';
import { project } from '../../tools/lib/paths.mjs';
import { launchChromium, newWatchedPage } from '../../support/browser/chromium.mjs';
import { PaintPage } from '../../support/browser/paint_page.mjs';

/** In milliseconds; long enough to compile everything if dist/ is missing. */
const startTimeout = 300_000;

test('npm start: an address, working pages, Ctrl+C stops the server', async (t) => {
  const { program, exit, printed, address } = start();
  const browser = await launchChromium();
  after(() => {
    program.kill('SIGKILL');
    return browser.close();
  });
  const origin = new URL(await address).origin;
  t.diagnostic(`ready after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);

  const watched = await newWatchedPage(browser, origin);
  await watched.page.goto(origin);
  await watched.page.waitForURL(/\/create\//);
  await watched.page.locator('#status[data-status="finished"]').waitFor();
  await watched.page.getByRole('link', { name: 'Paint by attention' }).click();
  await watched.page.waitForURL(/\/paint\/$/);
  const visit = new PaintPage(watched);
  await visit.waitForReading('psnr', 18);
  assert.ok((await visit.reading('runtime-threads')) > 1, 'the server sends the headers for shared memory');
  await visit.leave();

  // If the server waited for open connections, this request would delay its end by at least a minute.
  const connection = connect(new URL(origin).port, new URL(origin).hostname);
  connection.on('error', () => {});
  await once(connection, 'connect');
  connection.write('GET / HTTP/1.1\r\n');
  program.kill('SIGINT');
  const { code, signal, seconds } = await exit();
  t.diagnostic(`ended ${seconds.toFixed(1)} s after Ctrl+C with ${signal ?? `exit code ${code}`}`);
  assert.ok(code === 0 || signal === 'SIGINT', `ended with ${signal ?? code}`);
  assert.equal(printed.error, '', 'no error was printed');
  await assert.rejects(fetch(origin), 'the port is closed');
});

const startedAt = performance.now();

/** Starts the tool. `address` resolves to the first address that it prints. */
function start() {
  // With CI, it opens no browser window on a desktop.
  const program = spawn(process.execPath, [path.join(project, 'tools/start.mjs')], {
    cwd: project,
    env: { ...process.env, CI: '1', NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed = { output: '', error: '' };
  program.stderr.on('data', (chunk) => (printed.error += chunk));
  const address = new Promise((resolve, reject) => {
    const fail = (reason) => reject(new Error(`${reason}\n${printed.output}\n${printed.error}`));
    const timer = setTimeout(fail, startTimeout, 'timeout: no address was printed');
    program.once('exit', () => fail('npm start exited before it printed an address'));
    program.stdout.on('data', (chunk) => {
      printed.output += chunk;
      const [found] = printed.output.match(/https?:\/\/\S+/) ?? [];
      if (!found) return;
      clearTimeout(timer);
      resolve(found);
    });
  });
  const ended = new Promise((resolve) => program.once('exit', (code, signal) => resolve({ code, signal })));
  const exit = async () => {
    const requested = performance.now();
    setTimeout(() => program.kill('SIGKILL'), 50_000).unref();
    return { ...(await ended), seconds: (performance.now() - requested) / 1000 };
  };
  return { program, exit, printed, address };
}
