// Vite's development server, in its default configuration.
import { isolationHeaders } from '../../../support/browser/server.mjs';
import { resultOfPage } from './watched.mjs';

/** Receives the report of the page. */
function reports() {
  let receive;
  const reported = new Promise((resolve) => (receive = resolve));
  const configureServer = ({ middlewares }) =>
    void middlewares.use('/report', async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      response.writeHead(204).end();
      receive(JSON.parse(body));
    });
  return { reported, plugin: { name: 'reports', configureServer } };
}

async function runOnServer(root, isolated) {
  const { createServer, version } = await import('vite');
  const { reported, plugin } = reports();
  const server = await createServer({
    root,
    configFile: false,
    logLevel: 'error',
    cacheDir: `${root}/vite-cache-${isolated}`,
    plugins: [plugin],
    server: { port: 0, headers: isolated ? isolationHeaders : {} },
  });
  try {
    await server.listen();
    return { ...(await resultOfPage(server.resolvedUrls.local[0], reported)), version };
  } finally {
    await server.close();
  }
}

/** Returns the cases. @param {() => Promise<string>} getFolder returns the folder of the program */
export const viteDevelopment = (getFolder) =>
  [true, false].map((isolated) => ({
    group: 'Bundlers',
    name: 'Vite',
    conditions: `development server, ${isolated ? 'isolated' : 'not isolated'}`,
    expected: isolated ? { threads: 'several' } : { threads: 'one', reason: /not cross-origin isolated/ },
    quick: false,
    run: async () => runOnServer(await getFolder(), isolated),
  }));
