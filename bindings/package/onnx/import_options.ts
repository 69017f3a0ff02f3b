// The options of fromOnnx, checked.
import { viewBytes } from '../bytes';
import { checkBoolean, checkDType, checkString, fail, mapEntries, read, readOptions } from '../checks';
import type { DType } from '../core';
import { ArgumentError } from '../errors';
import { lastingBytes } from '../runtime';
import { normalizedPath } from './external_data';

type Bytes = ArrayBuffer | SharedArrayBuffer | ArrayBufferView;

export interface FromOnnxOptions {
  /** dtype of the layers. Default: 'float64' if the model's weights are DOUBLE, else 'float32'. */
  dtype?: DType;
  /**
   * Files with the data of tensors that the model stores outside its own file, by the path that the model has
   * for them, such as `{ 'model.onnx_data': bytes }`.
   */
  externalData?: Record<string, Bytes>;
  /**
   * True (the default): an attention that the layer cannot represent is a WeightsError. False: it is listed
   * in `refused`, and the others are returned.
   */
  strict?: boolean;
  /** Only attentions whose names match are imported; others are not read. Default: all. */
  names?: RegExp;
}

export interface ImportOptions {
  readonly dtype: DType | undefined;
  /** By normalized path. */
  readonly externalData: ReadonlyMap<string, Uint8Array>;
  readonly isStrict: boolean;
  readonly isWanted: (name: string) => boolean;
}

const bytesOf = (argument: string, value: unknown): Uint8Array =>
  lastingBytes(argument, value) ??
  fail(argument, value, 'an ArrayBuffer, SharedArrayBuffer or a view of one');

/** Returns the bytes of the model. */
export const checkFile = (file: unknown): Uint8Array => bytesOf('file', file);

export function checkImportOptions(options: FromOnnxOptions | undefined): ImportOptions {
  const { dtype, externalData, strict, names } = readOptions('options', options, [
    'dtype',
    'externalData',
    'strict',
    'names',
  ]);
  return {
    dtype: dtype === undefined ? undefined : checkDType('dtype', dtype),
    externalData: checkExternalData(externalData),
    isStrict: strict === undefined ? true : checkBoolean('strict', strict),
    isWanted: names === undefined ? () => true : checkNames(names),
  };
}

function checkExternalData(value: unknown): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  if (value === undefined) return files;
  const isObject = typeof value === 'object' && value !== null && viewBytesOrNull(value) === null;
  if (!isObject || read('externalData', () => Array.isArray(value)))
    fail('externalData', value, 'an object with bytes by path');
  const entries = readEntries(value);
  for (const [path, bytes] of entries) {
    const name = normalizedPath(path);
    if (files.has(name)) fail('externalData', path, 'each path once');
    files.set(name, bytesOf(`externalData[${JSON.stringify(name.slice(0, 100))}]`, bytes));
  }
  return files;
}

function viewBytesOrNull(value: unknown): Uint8Array | null {
  try {
    return viewBytes('externalData', value);
  } catch {
    return null;
  }
}

/** A Map is accepted as well as an object. */
function readEntries(value: object): [string, unknown][] {
  try {
    const entries = mapEntries(value) ?? Object.entries(value);
    return entries.map(([path, bytes]) => [String(path), bytes]);
  } catch {
    // A getter or a proxy of the caller threw.
    throw new ArgumentError('externalData cannot be read; expected an object with bytes by path');
  }
}

/** Returns a test that does not depend on the state of the caller's expression, and does not change it. */
function checkNames(names: unknown): (name: string) => boolean {
  const isRegExp = read('names', () => Object.prototype.toString.call(names) === '[object RegExp]');
  if (!isRegExp) fail('names', names, 'a RegExp');
  try {
    const { source, flags } = names as RegExp;
    const copy = new RegExp(checkString('names', source), flags.replaceAll(/[gy]/g, ''));
    return (name) => copy.test(name);
  } catch {
    return fail('names', names, 'a RegExp');
  }
}
