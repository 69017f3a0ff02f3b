// What the packed package contains besides code that runs: licences, source maps, pictures; and README's
// snippets, run with nothing but the package.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { bundledPackages, checkArchives, native } from '../../tools/lib/licenses.mjs';
import { newProject } from '../engines/support/packed.mjs';
import { runNode } from '../support/child.mjs';

describe('the packed package', () => {
  let folder;
  let installed;
  const read = (file) => readFile(path.join(installed, file), 'utf8');
  before(async () => {
    folder = await newProject('published');
    installed = path.join(folder, 'node_modules/diffusion-cross-attention');
  });

  test('names every bundled library with its licence', async () => {
    const licenses = await read('dist/licenses.txt');
    const maps = (await readdir(path.join(installed, 'dist'))).filter((name) => name.endsWith('.js.map'));
    const sources = await Promise.all(
      maps.map(async (name) => JSON.parse(await read(`dist/${name}`)).sources),
    );
    const inputs = Object.fromEntries(sources.flat().map((source) => [source, {}]));
    const bundled = bundledPackages({ outputs: { all: { inputs } } });
    assert.ok(bundled.includes('wasm-feature-detect'), bundled.join());
    for (const name of bundled) assert.match(licenses, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+$`, 'm'));
    for (const { name } of native) assert.ok(licenses.includes(`\n${name}\n`), name);
    for (const holder of ['Emscripten authors', 'Rich Felker', 'LLVM Exceptions', 'QuantStack', 'Tencent']) {
      assert.ok(licenses.includes(holder), holder);
    }
  });

  test('has source maps that contain their sources', async () => {
    // Those that contain a .wasm file have none: it would contain the file again.
    const hasMap = (name) => name.endsWith('.js') && !/embedded|^single_file/.test(name);
    const scripts = (await readdir(path.join(installed, 'dist'))).filter(hasMap);
    assert.ok(scripts.length > 5, scripts.join());
    for (const name of scripts) {
      const [, map] = (await read(`dist/${name}`)).match(/\/\/# sourceMappingURL=(.*)\n$/);
      const { sources, sourcesContent } = JSON.parse(await read(`dist/${map}`));
      assert.equal(sourcesContent.length, sources.length, name);
      sourcesContent.forEach((content, index) => assert.ok(content.length > 0, `${name}: ${sources[index]}`));
    }
    for (const name of await readdir(path.join(installed, 'dist/wasm'))) {
      if (name.endsWith('.js'))
        assert.doesNotMatch(await read(`dist/wasm/${name}`), /sourceMappingURL/, name);
    }
  });

  test('contains the pictures of README, which have absolute URLs', async () => {
    const pictures = Array.from(
      (await read('README.md')).matchAll(/!\[[^\]]*\]\(([^)]*)\)/g),
      ([, url]) => url,
    );
    assert.ok(pictures.length >= 3, pictures.join());
    for (const url of pictures) {
      const { origin, pathname } = new URL(url);
      assert.equal(origin, 'https://unpkg.com');
      const [, name, file] = pathname.match(/^\/([^/]+)\/(.+)$/);
      assert.equal(name, 'diffusion-cross-attention');
      assert.ok(existsSync(path.join(installed, file)), file);
    }
  });

  test('declares types for every entry and condition that has JavaScript, before it', async () => {
    const { exports, types } = JSON.parse(await read('package.json'));
    const check = (conditions, entry) => {
      if (typeof conditions === 'string') {
        assert.match(conditions, /\/\*$/, `${entry} has no types`);
        return;
      }
      const names = Object.keys(conditions);
      if (names[0] === 'types') {
        assert.ok(existsSync(path.join(installed, conditions.types)), conditions.types);
      } else {
        for (const name of names) check(conditions[name], `${entry} ${name}`);
      }
    };
    for (const [entry, conditions] of Object.entries(exports)) check(conditions, entry);
    assert.equal(types, exports['.'].default.types);
  });

  test("runs README's snippets", async () => {
    const readme = await read('README.md');
    const snippets = Array.from(readme.matchAll(/^```js\n(.*?)^```$/gms), ([, code]) => code);
    const programs = [
      [snippets[0], snippets[1]],
      [snippets[2]],
      [snippets[3]],
      // A few steps of the fine-tuning's minute.
      [snippets[4]?.replaceAll('700', '4')],
    ];
    assert.equal(snippets.length, programs.flat().length);
    assert.equal(programs.length, preambles.length);
    for (const [index, codes] of programs.entries()) {
      const file = path.join(folder, `readme_${index}.mjs`);
      await writeFile(file, [preambles[index], ...codes, "console.log('the end');"].join('\n'));
      const { output, errors } = await runNode([file], { folder });
      // Node has no GPU to train on, which is the last line of the last snippet.
      const isExpected = output.endsWith('the end\n') || /code: 'ERR_DEVICE'/.test(errors);
      assert.ok(isExpected, `${codes.join('\n')}\n${errors}\n${output}`);
    }
  });
});

/** What each program of README has before its first line. */
const preambles = [
  `import { writeFile } from 'node:fs/promises';
  import * as attention from 'diffusion-cross-attention';
  await attention.init();
  const prefix = 'down_blocks.0.attentions.0.transformer_blocks.0.attn2.';
  const safetensorsBytes = new attention.DiffusionCrossAttention(320, 768).saveWeights({ prefix });`,
  `import * as attention from 'diffusion-cross-attention';
  await attention.init();
  const pixels = attention.Tensor.randn([1, 64, 16, 16]);
  const context = attention.Tensor.randn([1, 77, 64]);
  const outputGradient = attention.Tensor.randn([1, 64, 16, 16]);`,
  `import { init, Tensor, DiffusionCrossAttention } from 'diffusion-cross-attention';
  await init();
  const layer = new DiffusionCrossAttention(320, 768);
  const image = Tensor.randn([1, 320, 16, 16]);
  const prompt = Tensor.randn([1, 77, 768]);`,
  `import { readFile } from 'node:fs/promises';
  import * as pictureModel from 'diffusion-cross-attention/denoiser';
  await pictureModel.init();
  const file = import.meta.resolve('diffusion-cross-attention/weights/scenes.safetensors');
  const safetensorsBytes = await readFile(new URL(file));
  const show = (step, rgba) => console.log(step, rgba.length);
  const colours = ['red', 'blue'];
  const pictures = colours.map((_, seed) => pictureModel.randomScene({ seed }).picture);`,
];

test('a link with an archive of unknown licence fails', () => {
  const lines = [
    'libc-mt',
    'libc++abi-legacyexcept',
    'libclang_rt.builtins-mt',
    'libdlmalloc-mt',
    'libstubs',
  ];
  const printed = (name) => `/cache/sysroot/lib/wasm32-emscripten/${name}.a(member.o)\n`;
  checkArchives(lines.map(printed).join(''));
  assert.throws(() => checkArchives(printed('libzlib-mt')), /no licence for libzlib\.a/);
  assert.throws(() => checkArchives(printed('libzlib')), /no licence for libzlib\.a/);
});
