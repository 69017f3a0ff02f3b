// `npm start` as a newcomer has it: it prints an address, the pages there draw and paint, Ctrl+C ends it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import path from 'node:path';
import { after, test } from 'node:test';
import { project } from '../../tools/lib/paths.mjs';
import { launchChromium, newWatchedPage } from '../../support/browser/chromium.mjs';
import { PaintPage } from '../../support/browser/paint_page.mjs';

/** Compiling everything, should dist/ not be there yet. */
const longestStart = 300_000;

test('npm start: an address, pages that draw and learn to paint, and an end with Ctrl+C', async (t) => {
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
  assert.ok((await visit.reading('runtime-threads')) > 1, 'it is served with the headers for shared memory');
  await visit.leave();

  // A server that waits for its connections waits for this request for at least a minute.
  const connection = connect(new URL(origin).port, new URL(origin).hostname);
  connection.on('error', () => {});
  await once(connection, 'connect');
  connection.write('GET / HTTP/1.1\r\n');
  program.kill('SIGINT');
  const { code, signal, seconds } = await exit();
  t.diagnostic(`ended ${seconds.toFixed(1)} s after Ctrl+C with ${signal ?? `exit code ${code}`}`);
  assert.ok(code === 0 || signal === 'SIGINT', `ended with ${signal ?? code}`);
  assert.equal(printed.error, '', 'no error was printed');
  await assert.rejects(fetch(origin), 'nobody answers there any more');
});

const startedAt = performance.now();

/** Starts the tool; `address` is what it prints. */
function start() {
  // CI: so that it opens no browser window on a desktop.
  const program = spawn(process.execPath, [path.join(project, 'tools/start.mjs')], {
    cwd: project,
    env: { ...process.env, CI: '1', NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed = { output: '', error: '' };
  program.stderr.on('data', (chunk) => (printed.error += chunk));
  const address = new Promise((resolve, reject) => {
    const giveUp = (reason) => reject(new Error(`${reason}\n${printed.output}\n${printed.error}`));
    const timer = setTimeout(giveUp, longestStart, 'no address was printed');
    program.once('exit', () => giveUp('ended before it printed an address'));
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
    const asked = performance.now();
    setTimeout(() => program.kill('SIGKILL'), 50_000).unref();
    return { ...(await ended), seconds: (performance.now() - asked) / 1000 };
  };
  return { program, exit, printed, address };
}
