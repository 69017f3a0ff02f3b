// The fuzz targets: libFuzzer programs of tests/fuzz, and those of its script.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { prepareNewerNode } from './newer_node.mjs';
import { project } from './paths.mjs';

const nativeTargets = ['safetensors', 'lora', 'model', 'call'];
const scriptTargets = ['onnx', 'surface'];
export const fuzzTargets = [...nativeTargets, ...scriptTargets];

/** True if a target is a program of the preset fuzz. */
export const isNativeTarget = (target) => nativeTargets.includes(target);

/** Counts a run as one test. libFuzzer and the script print the number of inputs. */
const count = (output) => ({ passed: /^Done \d+ runs/m.test(output) ? 1 : 0, failed: 0, skipped: [] });

/**
 * Returns a program that fuzzes a target for some seconds. Inputs that fail are written to
 * tests/fuzz/corpus/TARGET, new inputs that cover more code to build/fuzz/corpus/TARGET.
 *
 * @returns {Promise<import('./test_run.mjs').TestProgram>}
 */
export async function fuzzProgram(target, seconds) {
  const title = `fuzz ${target}`;
  if (!isNativeTarget(target)) {
    const node = await prepareNewerNode();
    return { title, program: node, args: ['tests/fuzz/script.mjs', target, String(seconds)], count };
  }
  const found = path.join(project, 'build/fuzz/corpus', target);
  const corpus = path.join(project, 'tests/fuzz/corpus', target);
  mkdirSync(found, { recursive: true });
  const dictionary = path.join(project, 'tests/fuzz/safetensors.dict');
  return {
    title,
    program: path.join(project, `build/fuzz/tests/fuzz/${target}_fuzzer`),
    args: [
      found,
      corpus,
      `-max_total_time=${Math.ceil(seconds)}`,
      `-artifact_prefix=${corpus}/found-`,
      ...(target === 'call' ? [] : [`-dict=${dictionary}`]),
      '-timeout=10',
      '-rss_limit_mb=2048',
      '-print_final_stats=1',
    ],
    count,
  };
}
