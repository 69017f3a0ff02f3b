// Command lines of this project's tools: one declaration per command defines its help, its checks and its
// values. Imports no npm package: --help works in a clone without node_modules.
//
//   const options = readCommandLine({
//     name: 'npm run bench',
//     summary: 'Measures the layer and its peers.',
//     options: {
//       shapes: { type: 'name', list: true, allowed: ['tiny', 'big'], default: ['tiny'], description: '…' },
//       seconds: { type: 'number', above: 0, default: 1.5, description: '…' },
//       json: { type: 'path', placeholder: 'FILE', description: '…' },
//       check: { type: 'boolean', description: '…' },
//     },
//     examples: [['--shapes tiny --check', 'Fails if a target is missed.'], ['', 'Measures all shapes.']],
//   });
//   // `--seconds 2` gives { shapes: ['tiny'], seconds: 2, json: undefined, check: false }
import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { project } from './paths.mjs';
import { red } from './steps.mjs';

/**
 * A command.
 *
 * @typedef {object} Command
 * @property {string} name as the user types it: `npm run bench`, `npm test`
 * @property {string} summary one sentence
 * @property {Record<string, Option>} options by their names without dashes; `--help` (`-h`) is added
 * @property {[args: string, effect: string][]} examples two; `args` is '' for the command without arguments
 * @property {(values: Record<string, any>) => string | undefined} [check] returns an error message if a
 *   combination of valid values is not allowed
 */

/**
 * An option.
 *
 * @typedef {object} Option
 * @property {'boolean' | 'string' | 'path' | 'name' | 'integer' | 'number'} type The value's type. A path
 *   given on the command line is used as it is; a default path is relative to the project's folder.
 * @property {string} description sentences
 * @property {unknown} [default] the converted value (an array if `list`); default: false if boolean, else
 *   undefined
 * @property {string} [defaultText] describes the default in the help; default: the default itself
 * @property {string} [placeholder] stands for the value in the help; required if the type is string or path
 * @property {boolean} [mustExist] of a path
 * @property {boolean} [list] accepts several values, separated by commas
 * @property {boolean} [allowEmpty] accepts an empty list
 * @property {readonly string[]} [allowed] the values of the type name
 * @property {number} [min] inclusive, of numbers
 * @property {number} [max] inclusive, of numbers
 * @property {number} [above] exclusive minimum, of numbers
 * @property {number} [multipleOf] of integers
 */

/** Thrown for arguments that a command does not accept. It is printed without a stack. */
export class UsageError extends Error {
  name = 'UsageError';
}

/**
 * Returns the values of the options in the arguments of this process, by their names. With `--help` or `-h`,
 * prints the help and ends the process with exit code 0. With bad arguments, prints what is wrong and ends it
 * with exit code 2. Call it before any set-up.
 *
 * @param {Command} command
 */
export function readCommandLine(command) {
  try {
    const values = parseArguments(command, process.argv.slice(2));
    if (values !== null) return values;
    console.log(helpText(command));
    process.exit(0);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${red('✗')} ${error.message}\n  ${usage(command, '--help')} lists the options.`);
    process.exit(2);
  }
}

/**
 * Returns the values of the options in `args`, by their names, or null if `args` asks for the help. Throws
 * UsageError if `args` has an unknown option, a bad or missing value, or an argument that is not an option.
 *
 * @param {Command} command
 * @param {readonly string[]} args
 */
export function parseArguments(command, args) {
  const options = { ...command.options, help };
  const types = Object.entries(options).map(([name, { type, short }]) => [
    name,
    { type: type === 'boolean' ? 'boolean' : 'string', ...(short && { short }) },
  ]);
  // Not strict: parseArgs' own errors do not name the nearest option.
  const { tokens } = parseArgs({
    args,
    options: Object.fromEntries(types),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  // Compares whole arguments: parseArgs reads "-shapes" as single letters, with an "h".
  if (tokens.some(({ kind, index }) => kind === 'option' && ['-h', '--help'].includes(args[index])))
    return null;
  const values = Object.fromEntries(
    Object.entries(command.options).map(([name, option]) => [name, defaultOf(option)]),
  );
  for (const token of tokens) {
    if (token.kind === 'positional') {
      const expected = `only options, after "--": ${usage(command, '[options]')}`;
      throw new UsageError(`unexpected argument ${shown(token.value)}; expected ${expected}`);
    }
    if (token.kind === 'option') values[token.name] = valueOf(token, options, args[token.index]);
  }
  const problem = command.check?.(values);
  if (problem !== undefined) throw new UsageError(problem);
  return values;
}

const help = { type: 'boolean', short: 'h', description: 'Prints this help.' };

/** Returns the line that starts `command` with `args`. npm passes only the arguments after "--". */
const usage = ({ name }, args) => {
  // npm keeps options before "--" for itself.
  const separator = name.startsWith('npm') ? ['--'] : [];
  return [name, ...(args === '' ? [] : [...separator, args])].join(' ');
};

function defaultOf(option) {
  if (option.type === 'boolean') return option.default ?? false;
  if (option.type !== 'path' || option.default === undefined) return option.default;
  return path.relative(process.cwd(), path.join(project, option.default)) || '.';
}

/**
 * Returns the value of an option from its token of parseArgs. `argument` is the argument that contains the
 * option.
 */
function valueOf({ name, rawName, value, inlineValue }, options, argument) {
  if (!Object.hasOwn(options, name) || rawName !== `--${name}`) {
    const unknown = argument.split('=', 1)[0];
    const known = Object.keys(options).map((each) => `--${each}`);
    throw new UsageError(`unknown option ${shown(unknown)}; did you mean ${nearest(unknown, known)}?`);
  }
  const option = options[name];
  if (option.type === 'boolean') {
    if (value !== undefined) throw new UsageError(`${rawName} is ${shown(value)}; expected no value`);
    return true;
  }
  const expected = expectation(option);
  // An argument that begins with "-" is the next option, unless it is a negative number.
  if (value === undefined || (!inlineValue && /^-[^\d.]/.test(value))) {
    throw new UsageError(`${rawName} has no value; expected ${expected}`);
  }
  if (option.list && option.allowEmpty && value === '') return [];
  const parts = option.list ? value.split(',') : [value];
  const converted = parts.map((part) => {
    const result = convert(part, option);
    if (result === undefined) throw new UsageError(`${rawName} is ${shown(part)}; expected ${expected}`);
    return result;
  });
  return option.list ? converted : converted[0];
}

/** Converts `text` to the value of an option. Returns undefined if the option does not accept it. */
function convert(text, { type, mustExist, allowed, min, max, above, multipleOf }) {
  if (type === 'name') return allowed.includes(text) ? text : undefined;
  if (type === 'string' || type === 'path') {
    return text === '' || (mustExist && !existsSync(text)) ? undefined : text;
  }
  const number = text.trim() === '' ? NaN : Number(text);
  const isAllowed =
    Number.isFinite(number) &&
    (type !== 'integer' || Number.isSafeInteger(number)) &&
    number >= (min ?? -Infinity) &&
    number <= (max ?? Infinity) &&
    number > (above ?? -Infinity) &&
    (multipleOf === undefined || number % multipleOf === 0);
  return isAllowed ? number : undefined;
}

const joined = (names, conjunction) =>
  names.length === 1 ? names[0] : `${names.slice(0, -1).join(', ')} ${conjunction} ${names.at(-1)}`;

/** Describes the values that an option accepts. The text follows "expected". */
function expectation(option) {
  const { type, list, mustExist, allowed, placeholder } = option;
  if (type === 'string' || type === 'path') return mustExist ? 'an existing file' : placeholder;
  const one = type === 'name' ? joined(allowed, 'or') : `${numberKind(option)}${range(option)}`;
  return list ? `a comma-separated list of ${one}` : one;
}

function numberKind({ type, list, multipleOf }) {
  if (multipleOf !== undefined) return `${list ? 'multiples' : 'a multiple'} of ${multipleOf}`;
  if (type === 'integer') return list ? 'integers' : 'an integer';
  return list ? 'numbers' : 'a number';
}

function range({ min, max, above }) {
  const bounds = [];
  if (above !== undefined) bounds.push(`above ${above}`);
  if (min !== undefined) bounds.push(max === undefined ? `of at least ${min}` : `from ${min}`);
  if (max !== undefined) bounds.push(`${min === undefined ? 'up ' : ''}to ${max}`);
  return bounds.map((bound) => ` ${bound}`).join('');
}

/** Formats a value for a message: long values are shortened, empty values are quoted. */
function shown(text) {
  const short = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  return short.trim() === '' ? JSON.stringify(short) : short;
}

/**
 * Returns the name with the smallest edit distance to `text`. A name that begins with `text` has distance 0.
 */
function nearest(text, names) {
  const distances = names.map((name) => (name.startsWith(text) ? 0 : editDistance(text, name)));
  return names[distances.indexOf(Math.min(...distances))];
}

/** Returns the Levenshtein distance: the insertions, deletions and replacements that turn `a` into `b`. */
function editDistance(a, b) {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; ++row) {
    const current = [row];
    for (let column = 1; column <= b.length; ++column) {
      const replaced = previous[column - 1] + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, previous[column] + 1, current[column - 1] + 1));
    }
    previous = current;
  }
  return previous.at(-1);
}

/**
 * Returns the help of a command: its summary, its options with their defaults, its examples.
 *
 * @param {Command} command
 */
export function helpText(command) {
  const options = Object.entries({ ...command.options, help }).map(
    ([name, option]) => `  ${optionHead(name, option)}\n${indented(optionText(option))}`,
  );
  const examples = command.examples.map(([args, effect]) => `  ${usage(command, args)}\n${indented(effect)}`);
  return [
    `Usage: ${usage(command, '[options]')}`,
    wrapped(command.summary, '').join('\n'),
    `Options:\n${options.join('\n')}`,
    `Examples:\n${examples.join('\n')}`,
  ].join('\n\n');
}

function optionHead(name, { type, short, list, placeholder }) {
  const value = type === 'boolean' ? '' : ` ${placeholder ?? placeholderOf(type, list)}`;
  return `${short ? `-${short}, ` : ''}--${name}${value}`;
}

const placeholderOf = (type, list) => (list ? 'LIST' : type === 'name' ? 'NAME' : 'NUMBER');

function optionText(option) {
  if (option === help) return help.description;
  const isFree = ['boolean', 'string', 'path'].includes(option.type);
  const expects = isFree ? [] : [`Expects ${expectation(option)}.`];
  return [option.description, ...expects, `Default: ${defaultText(option)}.`].join(' ');
}

/** Returns the default of an option as the help prints it. */
export function defaultText(option) {
  if (option.defaultText !== undefined) return option.defaultText;
  if (option.type === 'boolean') return option.default ? 'on' : 'off';
  if (option.default === undefined) return 'none';
  if (!option.list) return String(option.default);
  const isAll = option.allowed && option.allowed.every((name) => option.default.includes(name));
  return isAll ? 'all' : option.default.join(',');
}

const indented = (text) => wrapped(text, '      ').join('\n');

/** Splits a text into lines of at most 80 columns. */
function wrapped(text, indent) {
  const lines = [];
  let line = indent;
  for (const word of text.split(' ')) {
    if (line !== indent && line.length + 1 + word.length > 80) {
      lines.push(line);
      line = indent;
    }
    line += line === indent ? word : ` ${word}`;
  }
  return [...lines, line];
}
