// Next.js with Turbopack and with webpack: a client component, and a server component that computes.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { cp } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../../../tools/lib/commands.mjs';
import { isolationHeaders } from '../../../support/browser/server.mjs';
import { installed } from '../support/installed.mjs';
import { newProject } from '../support/packed.mjs';
import { sources } from './sources.mjs';
import { resultOfPage } from './watched.mjs';

const version = '16.4.6';
const reactVersion = '19.3.1';

const client = `'use client';
import { useEffect, useState } from 'react';
import { run } from '../run.js';

export default function Client() {
  const [outcome, setOutcome] = useState(null);
  useEffect(() => {
    run()
      .then((result) => ({ result }), ({ message, stack }) => ({ error: message, stack }))
      .then((body) => setOutcome(JSON.stringify(body)));
  }, []);
  return <pre id="outcome">{outcome}</pre>;
}
`;

const server = `import { run } from '../../run.js';

export const dynamic = 'force-dynamic';

export default async function Server() {
  const fail = ({ message, stack }) => ({ error: message, stack });
  const body = await run().then((result) => ({ result }), fail);
  return <pre id="outcome">{JSON.stringify(body)}</pre>;
}
`;

const page = `import Client from '../client.js';

export default function Page() {
  return <Client />;
}
`;

const layout = `export const metadata = { icons: { icon: 'data:,' } };

export default function Layout({ children }) {
  return <html lang="en"><body>{children}</body></html>;
}
`;

/** Workers of isolated pages need the header as well. */
const configuration = `const headers = ${JSON.stringify(
  Object.entries(isolationHeaders).map(([key, value]) => ({ key, value })),
)};
export default {
  headers: () => ['/isolated', '/_next/:path*'].map((source) => ({ source, headers })),
};
`;

const files = {
  'program.mjs': sources['program.mjs'],
  'run.js': sources['run.js'],
  'app/layout.js': layout,
  'app/client.js': client,
  'app/plain/page.js': page,
  'app/isolated/page.js': page,
  'app/server/page.js': server,
  'next.config.mjs': configuration,
};

const running = new Map();

/** Builds and starts the application once for each of Next's bundlers. Returns its URL. */
function started(bundler) {
  if (!running.has(bundler)) running.set(bundler, start(bundler));
  return running.get(bundler);
}

async function start(bundler) {
  const modules = await installed(`next@${version}`, `react@${reactVersion}`, `react-dom@${reactVersion}`);
  const folder = await newProject(`next-${bundler}`, files, {});
  // Turbopack does not follow links to other folders.
  await cp(modules, path.join(folder, 'node_modules'), { recursive: true });
  const env = { ...process.env, NEXT_TELEMETRY_DISABLED: '1' };
  const next = path.join(folder, 'node_modules/next/dist/bin/next');
  await run('node', [next, 'build', `--${bundler}`], { cwd: folder, env });
  const child = execFile('node', [next, 'start', '--port', '0'], { cwd: folder, env });
  let printed = '';
  for await (const chunk of child.stdout) {
    printed += chunk;
    const [url] = /http:\/\/localhost:\d+/.exec(printed) ?? [];
    if (url !== undefined) {
      child.stdout.resume();
      return { child, url };
    }
  }
  throw new Error(`next start ended: ${printed}`);
}

/** Reads the outcome from the page. */
async function runPage(bundler, pathname) {
  const { url } = await started(bundler);
  const result = await resultOfPage(`${url}/${pathname}`, async (browserPage) => {
    const text = await browserPage.locator('#outcome:not(:empty)').innerText();
    return JSON.parse(text);
  });
  return { ...result, version };
}

const conditions = {
  'client component, isolated': { pathname: 'isolated', expected: { threads: 'several' } },
  'client component, not isolated': {
    pathname: 'plain',
    expected: { threads: 'one', reason: /not cross-origin isolated/ },
  },
  'server component': { pathname: 'server', expected: { threads: 'any' } },
};

export const nextCases = ['turbopack', 'webpack'].flatMap((bundler) =>
  Object.entries(conditions).map(([name, { pathname, expected }]) => ({
    group: 'Bundlers',
    name: `Next.js, ${bundler}`,
    conditions: name,
    expected,
    quick: false,
    run: () => runPage(bundler, pathname),
  })),
);

/** Ends the servers. */
export async function closeNext() {
  for (const starting of running.values()) {
    const { child } = await starting.catch(() => ({}));
    if (child === undefined || child.exitCode !== null) continue;
    child.kill();
    await once(child, 'exit');
  }
  running.clear();
}
