// An esbuild plugin: imports a .wgsl file as a string, without comments and indentation.
import { readFile } from 'node:fs/promises';

/**
 * Returns WGSL without comments, indentation and empty lines. Lines stay lines, for the directives of
 * templates.
 */
export const minifyWgsl = (source) =>
  source
    .split('\n')
    .map((line) => line.replace(/\/\/.*$/, '').trim())
    .filter((line) => line !== '')
    .map((line) => `${line}\n`)
    .join('');

export const wgslPlugin = {
  name: 'wgsl',
  setup({ onLoad }) {
    onLoad({ filter: /\.wgsl$/ }, async ({ path }) => ({
      contents: minifyWgsl(await readFile(path, 'utf8')),
      loader: 'text',
    }));
  },
};
