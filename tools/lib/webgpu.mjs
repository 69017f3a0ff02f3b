// WebGPU for the Node tests: Dawn (npm package `webgpu`) on SwiftShader, the software adapter that Chromium
// includes.
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { prepareBrowser } from './browser.mjs';
import { SetUpError, step } from './steps.mjs';
import { ensureSystemPackages } from './system_packages.mjs';

const driver = 'vk_swiftshader_icd.json';

/**
 * Returns the folders where Chromium may be. A program on PATH is often a link, or a script that names the
 * folder.
 */
function foldersOf(program) {
  const folders = [path.dirname(program), path.dirname(realpathSync(program))];
  const text = readFileSync(program).subarray(0, 16384);
  if (text.subarray(0, 2).toString() === '#!') {
    const named = text.toString().match(/\/[\w./-]*(chrom|google)[\w./-]*/g) ?? [];
    folders.push(...named.flatMap((name) => [name, path.dirname(name)]));
  }
  return [...new Set([...folders, '/usr/lib/chromium', '/usr/lib/chromium-browser', '/opt/google/chrome'])];
}

/** Finds SwiftShader. Returns the environment variables with which Dawn in Node finds it. */
export async function prepareWebGpu() {
  const program = await prepareBrowser();
  let environment;
  await step("Chromium's SwiftShader", async () => {
    const folder = foldersOf(program).find((candidate) => existsSync(path.join(candidate, driver)));
    if (folder === undefined) {
      throw new SetUpError(
        `${driver} is missing next to ${program}; expected a Chromium or Chrome with SwiftShader. Set ` +
          'CHROME_PATH to such a browser.',
      );
    }
    const hasLoader = existsSync(path.join(folder, 'libvulkan.so.1'));
    if (!hasLoader && process.platform === 'linux') await ensureSystemPackages(['vulkan']);
    const file = path.join(folder, driver);
    const libraries = [process.env.LD_LIBRARY_PATH, hasLoader && folder].filter(Boolean);
    environment = {
      // Older loaders support only the second name.
      VK_DRIVER_FILES: file,
      VK_ICD_FILENAMES: file,
      XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? os.tmpdir(),
      ...(libraries.length > 0 && { LD_LIBRARY_PATH: libraries.join(path.delimiter) }),
    };
    return file;
  });
  return environment;
}
