// Data of tensors that are stored outside the model's file: https://onnx.ai/onnx/repo-docs/ExternalData.html.
import { show } from '../checks';
import type { GraphProto, TensorProto } from './model';
import { dataLocations, externalProblems, rawLength } from './tensor_elements';

/** Returns a file's path in one spelling: `./a\b` and `a/b` name the same file. */
export const normalizedPath = (path: string): string =>
  path
    .split(/[/\\]/)
    .filter((part) => part !== '' && part !== '.')
    .join('/');

/**
 * Refers the tensors with data outside the file to the bytes of `files`, by normalized path, without a copy.
 * A tensor whose data are not found remains as it is: only a tensor that is used must have them.
 */
export function attachExternalData(graph: GraphProto, files: ReadonlyMap<string, Uint8Array>): void {
  const inNodes = graph.node.flatMap(({ attribute }) => attribute.flatMap(({ t }) => t ?? []));
  for (const tensor of [...graph.initializer, ...inNodes]) {
    if (tensor.dataLocation !== dataLocations.external) continue;
    const found = findData(tensor, files);
    if (typeof found === 'string') externalProblems.set(tensor, found);
    else {
      tensor.rawData = found;
      tensor.dataLocation = dataLocations.inFile;
    }
  }
}

/** Returns the tensor's bytes, or why there are none. */
function findData(tensor: TensorProto, files: ReadonlyMap<string, Uint8Array>): Uint8Array | string {
  const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
  const location = entries.get('location') ?? '';
  if (location === '') return 'expected a location';
  const file = files.get(normalizedPath(location));
  if (file === undefined) {
    const given = files.size === 0 ? 'nothing' : show([...files.keys()]);
    return `expected ${show(location)} in options.externalData, which has ${given}`;
  }
  const offset = byteCount(entries.get('offset') ?? '0');
  if (offset === null) return `its offset is ${show(entries.get('offset'))}; expected a number of bytes`;
  const expected = rawLength(tensor);
  const text = entries.get('length');
  const length = text === undefined ? (expected ?? 0) : byteCount(text);
  if (length === null) return `its length is ${show(text)}; expected a number of bytes`;
  if (expected !== null && length !== expected) {
    return `its length is ${length} bytes; expected ${expected} for the shape ${show(tensor.dims)}`;
  }
  if (offset + length > file.length) {
    return (
      `${show(location)} has ${file.length} bytes; ` +
      `expected at least ${offset + length} (offset ${offset}, length ${length})`
    );
  }
  return file.subarray(offset, offset + length);
}

/** Returns a number of bytes from its decimal digits; null for any other text. */
function byteCount(text: string): number | null {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  return Number.isSafeInteger(value) ? value : null;
}
