// Builds of the checked program by bundlers, each in its default configuration.
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { run } from '../../../tools/lib/commands.mjs';
import { project } from '../../../tools/lib/paths.mjs';
import { installed, versionOf } from '../support/installed.mjs';

/** These bundlers also build the project. */
const ownModules = path.join(project, 'node_modules');

/** Imports a package that is installed outside of the project. */
async function importFrom(modules, name) {
  const module = await import(pathToFileURL(createRequire(path.join(modules, 'x.js')).resolve(name)));
  return module.default ?? module;
}

/** Builds by webpack's interface, which rspack has as well. */
async function buildLikeWebpack(bundler, folder, target) {
  const options = { mode: 'production', context: folder, entry: './main.js', output: { path: target } };
  const stats = await new Promise((resolve, reject) => {
    bundler(options, (error, result) => (error ? reject(error) : resolve(result)));
  });
  // Webpack recommends sizes for pages, which a model does not meet.
  const { errors, warnings } = stats.toJson({ all: false, errors: true, warnings: true });
  const problems = [...errors, ...warnings.filter(({ message }) => !/size limit|lazy load/.test(message))];
  if (problems.length > 0)
    throw new Error(
      problems
        .map(({ message }) => message)
        .join('\n')
        .slice(0, 2000),
    );
}

/**
 * @typedef {object} Build
 * @property {string} name
 * @property {string} version of the bundler
 * @property {boolean} [omitsFiles] the bundler does not follow `new URL('…', import.meta.url)`
 * @property {'module' | 'classic' | 'own'} page what index.html loads; 'own': the bundler writes it
 * @property {boolean} [quick]
 * @property {(folder: string, target: string) => Promise<void>} build builds main.js, or index.html
 */

/** @type {Build[]} */
export const builds = [
  {
    name: 'webpack',
    version: '5.112.2',
    page: 'classic',
    quick: true,
    async build(folder, target) {
      await buildLikeWebpack(
        await importFrom(await installed(`webpack@${this.version}`), 'webpack'),
        folder,
        target,
      );
    },
  },
  {
    name: 'rspack',
    version: '2.3.2',
    page: 'classic',
    async build(folder, target) {
      const modules = await installed(`@rspack/core@${this.version}`);
      const { rspack } = await import(pathToFileURL(path.join(modules, '@rspack/core/dist/index.js')));
      await buildLikeWebpack(rspack, folder, target);
    },
  },
  {
    name: 'Vite',
    version: await versionOf(ownModules, 'vite'),
    page: 'own',
    quick: true,
    async build(root, outDir) {
      const { build } = await import('vite');
      await build({ root, base: './', configFile: false, logLevel: 'error', build: { outDir } });
    },
  },
  {
    name: 'esbuild',
    version: await versionOf(ownModules, 'esbuild'),
    page: 'module',
    omitsFiles: true,
    quick: true,
    async build(folder, outdir) {
      const { build } = await import('esbuild');
      await build({
        entryPoints: [path.join(folder, 'main.js')],
        bundle: true,
        splitting: true,
        format: 'esm',
        minify: true,
        outdir,
        logLevel: 'error',
      });
    },
  },
  {
    name: 'Rollup, node-resolve',
    page: 'module',
    version: '4.68.5',
    omitsFiles: true,
    async build(folder, dir) {
      const modules = await installed(`rollup@${this.version}`, '@rollup/plugin-node-resolve@16.0.3');
      const { rollup } = await importFrom(modules, 'rollup');
      const nodeResolve = await importFrom(modules, '@rollup/plugin-node-resolve');
      const warnings = [];
      const bundle = await rollup({
        input: path.join(folder, 'main.js'),
        plugins: [(nodeResolve.nodeResolve ?? nodeResolve)()],
        onwarn: ({ message }) => warnings.push(message),
      });
      await bundle.write({ dir, format: 'esm' });
      await bundle.close();
      if (warnings.length > 0) throw new Error(warnings.join('\n'));
    },
  },
  {
    name: 'Parcel',
    page: 'own',
    version: '2.16.4',
    async build(folder, target) {
      const modules = await installed(`parcel@${this.version}`);
      const args = ['build', 'index.html', '--dist-dir', target, '--public-url', './'];
      const options = ['--no-cache', '--no-source-maps', '--no-autoinstall'];
      await run('node', [path.join(modules, 'parcel/lib/bin.js'), ...args, ...options], { cwd: folder });
    },
  },
];
