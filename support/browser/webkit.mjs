// Launches WebKitGTK's MiniBrowser, which selenium-webdriver drives through WebKitWebDriver. Playwright needs
// a WebKit of its own, which is not in Debian.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Builder, Capabilities } from 'selenium-webdriver';
import { which } from '../../tools/lib/commands.mjs';
import { ensureSystemPackages } from '../../tools/lib/system_packages.mjs';

/** Returns the path of MiniBrowser, which Debian installs next to the library. */
function findMiniBrowser() {
  const library = `/usr/lib/${{ x64: 'x86_64', arm64: 'aarch64' }[process.arch]}-linux-gnu`;
  const [folder] = readdirSync(library).filter((name) => name.startsWith('webkit2gtk-'));
  return path.join(library, folder, 'MiniBrowser');
}

/** GTK has no headless mode: starts an X server without a screen. Resolves to its process and display. */
async function startDisplay() {
  const args = ['-displayfd', '3', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp'];
  const server = spawn('Xvfb', args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  const [number] = await once(server.stdio[3], 'data', { signal: AbortSignal.timeout(10_000) });
  return { server, display: `:${String(number).trim()}` };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function isListening(url) {
  try {
    await fetch(`${url}/status`);
    return true;
  } catch {
    return false;
  }
}

const browserArguments = ['--automation', '--enable-write-console-messages-to-stdout=true'];

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * Launches WebKit. See newBrowser in browsers.mjs for the members of the result.
 *
 * @param {{ sharedMemory?: boolean }} [options] WebKitGTK has no SharedArrayBuffer by default, in isolated
 *   pages either; Safari has it. true: as in Safari
 */
export async function launchWebKit({ sharedMemory = true } = {}) {
  await ensureSystemPackages(['webkit', 'xvfb']);
  const { server, display } = await startDisplay();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const environment = {
    ...process.env,
    DISPLAY: display,
    // No GPU: otherwise, WebKit looks for one in each page.
    WEBKIT_DISABLE_COMPOSITING_MODE: '1',
    // In the locale C.UTF-8, navigator.language is "C", which Intl refuses with a RangeError. In C, it is
    // en-US.
    LC_ALL: 'C',
    ...(sharedMemory && { JSC_useSharedArrayBuffer: '1' }),
  };
  const stdio = ['ignore', 'pipe', 'ignore'];
  const driver = spawn(which('WebKitWebDriver'), [`--port=${port}`], { env: environment, stdio });
  // WebDriver has no events for the console; MiniBrowser prints them.
  let problems = [];
  createInterface({ input: driver.stdout }).on('line', (line) => {
    if (/^CONSOLE .*(ERROR|WARN)/.test(line)) problems.push(line);
  });
  const stop = () => [driver, server].forEach((program) => program.kill());
  process.once('exit', stop);
  try {
    for (let tries = 0; !(await isListening(url)) && tries < 100; ++tries) await pause(100);
    const capabilities = new Capabilities({
      browserName: 'MiniBrowser',
      'webkitgtk:browserOptions': { binary: findMiniBrowser(), args: browserArguments },
    });
    const session = await new Builder().usingServer(url).withCapabilities(capabilities).build();
    const version = (await session.getCapabilities()).get('browserVersion');
    return {
      version,
      async open(address) {
        problems = [];
        await session.get(address);
        return {
          problems,
          evaluate: (source) => session.executeScript(`return (${source})`),
          close: () => session.get('about:blank'),
        };
      },
      async close() {
        // A page that computes for ever does not answer.
        await Promise.race([session.quit().catch(() => {}), pause(5_000)]);
        process.off('exit', stop);
        stop();
      },
    };
  } catch (error) {
    stop();
    throw error;
  }
}
