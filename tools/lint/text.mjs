// Checks comments, strings and documents for phrases that this project does not use, code for identifiers,
// and the length of lines. The phrases are in phrases.mjs.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { project } from '../lib/paths.mjs';
import { SetUpError } from '../lib/steps.mjs';
import { identifiers, phrases } from './phrases.mjs';

const maxColumns = 110;

/** Of files of src/ and bindings/. */
const maxLines = 400;
const hasMaxLines = (file) => /^(src|bindings)\//.test(file);

/** These parts are replaced as a whole; until then they keep their texts. */
const exempt = [
  'src/denoiser/',
  'bindings/webgpu/denoiser/',
  'tests/native/denoiser/',
  'tests/webgpu/denoiser_',
];

/** The list itself, and texts that are not ours. */
const excluded = ['tools/lint/', 'package-lock.json', 'LICENSE'];

const isCode = (file) => /\.([ch]pp|ts|mjs|js|wgsl|css)$/.test(file);
const isScript = (file) => /\.(py|cmake|yml)$|CMakeLists\.txt$/.test(file);
const isDocument = (file) => /\.(md|html)$/.test(file);

/** Comments and string literals of C++, TypeScript, JavaScript, WGSL and CSS. */
const texts = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;

/** The parts of a file that a person reads as text: [offset, text]. */
function textsOf(file, content) {
  if (isDocument(file)) return [[0, content]];
  if (isScript(file)) return Array.from(content.matchAll(/#[^\n]*/g), ({ index, 0: text }) => [index, text]);
  return Array.from(content.matchAll(texts), ({ index, 0: text }) => [index, text]);
}

function findingsOf(file) {
  const content = readFileSync(path.join(project, file), 'utf8');
  const lineAt = (offset) => content.slice(0, offset).split('\n').length;
  const findings = [];
  const search = (rules, text, offset) => {
    for (const [pattern, instead] of rules) {
      for (const { index, 0: found } of text.matchAll(new RegExp(pattern, `${pattern.flags}g`))) {
        findings.push([lineAt(offset + index), `"${found}"; write: ${instead}`]);
      }
    }
  };
  for (const [offset, text] of textsOf(file, content)) search(phrases, text, offset);
  if (isCode(file)) {
    search(identifiers, content, 0);
    for (const [index, line] of content.split('\n').entries()) {
      // An address cannot be broken.
      if ([...line].length > maxColumns && !/https?:\/\/\S+$/.test(line)) {
        findings.push([index + 1, `${[...line].length} columns; at most ${maxColumns}`]);
      }
    }
  }
  const lines = content.split('\n').length - 1;
  if (hasMaxLines(file) && lines > maxLines) findings.push([lines, `${lines} lines; at most ${maxLines}`]);
  return findings.sort(([one], [other]) => one - other).map(([line, text]) => `${file}:${line}: ${text}`);
}

/** Throws SetUpError with all findings in those of `files` that contain text. */
export function checkText(files) {
  const isChecked = (file) =>
    (isCode(file) || isScript(file) || isDocument(file)) &&
    ![...exempt, ...excluded].some((start) => file.startsWith(start));
  const findings = files.filter(isChecked).flatMap(findingsOf);
  if (findings.length > 0) throw new SetUpError(findings.join('\n'));
}
