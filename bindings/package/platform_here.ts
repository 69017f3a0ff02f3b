import { type Platform, web } from './platform';

/** True if the modules of Node can be imported. Polyfills of `process` for pages do not have them. */
function hasNodeModules(): boolean {
  const { process } = globalThis as { process?: { getBuiltinModule?: unknown; type?: string } };
  // A renderer of Electron has them, but not its workers.
  if (process === undefined || process.type === 'renderer') return false;
  // Node before 20.16 has no getBuiltinModule.
  return typeof process.getBuiltinModule === 'function' || String(process) === '[object process]';
}

/** Returns Node's platform in Node, else the web's. Not for browser builds: they cannot resolve node.js. */
export const platformHere = async (): Promise<Platform> =>
  hasNodeModules() ? import('./node.js').then((node) => node.makePlatform(web)).catch(() => web) : web;
