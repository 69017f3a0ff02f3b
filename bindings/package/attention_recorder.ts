// Sums of attention probabilities over heads, layers and calls.
import type { AcceleratedRecord, CallTensors } from './accelerator';
import {
  checkArray,
  checkBoolean,
  checkInteger,
  checkOneOf,
  checkString,
  fail,
  read,
  readOptions,
} from './checks';
import type { CoreRecorder, RecordArguments } from './core';
import { Owned } from './handles';
import { failInstance, guardMethods } from './instances';
import { getCore } from './runtime';

export interface RecorderOptions {
  /** Height and width of the heat maps, 1 to 4096. */
  size: number;
  /** Indices of the keys (the context's tokens) of each word or phrase. */
  groups: Readonly<Record<string, readonly number[]>>;
}

export interface HeatMapOptions {
  /** Divides by the maximum. Default false. */
  normalize?: boolean;
  /** Names whose calls take part. Default: all. */
  names?: readonly string[];
}

/** How a call is recorded. */
export interface RecordOptions {
  recorder: AttentionRecorder;
  /** Calls of the same name are summed, for instance all steps of a layer. Default ''. */
  name?: string;
  /** 'conditional': the second half of the batch, which guidance conditions on the prompt. Default 'all'. */
  rows?: 'all' | 'conditional';
}

const maxSize = 4096;
const maxKey = 2 ** 31 - 1;

function readGroups(options: RecorderOptions): Map<string, number[]> {
  const { groups } = readOptions('options', options, ['groups']);
  if (typeof groups !== 'object' || groups === null) fail('options.groups', groups, 'arrays of key indices');
  const names = read('options.groups', () => Object.keys(groups));
  if (names.length === 0) fail('options.groups', groups, 'at least one group');
  return new Map(
    names.map((name) => {
      const argument = `options.groups.${name}`;
      const given = read(argument, () => groups[name]);
      const keys = checkArray(argument, given, 'an array of key indices');
      if (keys.length === 0) fail(argument, given, 'at least one key index');
      return [name, keys.map((key, index) => checkInteger(`${argument}[${index}]`, key, 0, maxKey))];
    }),
  );
}

/**
 * Sums the probabilities of groups of keys over heads, layers and calls: heat maps of the words of a prompt,
 * as DAAM computes them (Tang et al., 2022). Calls with the option `record` add to it.
 *
 * @example
 * using recorder = new AttentionRecorder({ size: 64, groups: { cat: [2], hat: [5, 6] } });
 * layer.forwardWithContext(image, text, { record: { recorder, name: 'mid', rows: 'conditional' } });
 * recorder.heatMap('cat', { normalize: true }); // 64 · 64 numbers, row by row
 */
export class AttentionRecorder {
  static readonly name = 'AttentionRecorder';

  readonly #owned: Owned<CoreRecorder>;
  readonly #size: number;
  readonly #groups: ReadonlyMap<string, readonly number[]>;
  #generation = 0;

  static {
    guardMethods(this, (value) => #owned in value);
  }

  /** @throws ArgumentError for an invalid size, no group, or a group without keys. */
  constructor(options: RecorderOptions) {
    const core = getCore();
    const { size } = readOptions('options', options, ['size']);
    this.#size = checkInteger('options.size', size, 1, maxSize);
    this.#groups = readGroups(options);
    this.#owned = new Owned(this, core.AttentionRecorder.create(this.#size, this.keys));
  }

  /** @internal True for a recorder of this copy of the package, false for a proxy of one. */
  static isRecorder(value: unknown): value is AttentionRecorder {
    return typeof value === 'object' && value !== null && #owned in value;
  }

  /** @internal Returns the handle. Throws DisposedError. */
  getHandle(): CoreRecorder {
    return this.#owned.get('the AttentionRecorder');
  }

  /** @internal The keys of each group. */
  get keys(): (readonly number[])[] {
    return [...this.#groups.values()];
  }

  /** @internal Changes with reset and dispose: calls of before are not recorded. */
  get generation(): number {
    return this.#generation;
  }

  /** The number of calls that were recorded. */
  get calls(): number {
    return this.getHandle().calls();
  }

  /**
   * Returns the map of a group, size · size numbers: the mean probability over heads, recorded rows and
   * calls. The sums of each name are resized to size × size (bicubic, as PyTorch's interpolate without
   * align_corners) and clamped at 0; the map is the mean over the names. A name at several resolutions counts
   * once for each.
   *
   * @throws ArgumentError if no call was recorded.
   */
  heatMap(group: string, options?: HeatMapOptions): Float32Array {
    const { normalize = false, names } = readOptions('options', options, ['normalize', 'names']);
    checkBoolean('options.normalize', normalize);
    const chosen = names === undefined ? [] : checkArray('options.names', names, 'an array of names');
    if (names !== undefined && chosen.length === 0) fail('options.names', names, 'at least one name');
    const checked = chosen.map((name, index) => checkString(`options.names[${index}]`, name));
    return this.#map(group, checked, normalize, this.#size, this.#size);
  }

  /**
   * Returns the normalized map of a group as RGBA, width · height · 4 bytes, to draw over a picture:
   * transparent where the probability is 0, then blue, red, and yellow at the maximum, with an opacity of
   * 3/4.
   */
  overlay(group: string, width: number, height: number): Uint8ClampedArray {
    checkInteger('width', width, 1, maxSize);
    checkInteger('height', height, 1, maxSize);
    const map = this.#map(group, [], true, width, height);
    const pixels = new Uint8ClampedArray(4 * map.length);
    map.forEach((value, index) => {
      pixels.set([510 * value, 510 * value - 255, 255 - 510 * value, 191 * value], 4 * index);
    });
    return pixels;
  }

  /** Forgets all calls. Calls in progress are not recorded. */
  reset(): void {
    this.getHandle().reset();
    this.#generation++;
  }

  /** Frees the memory. A second call has no effect. Calls in progress complete with their results. */
  dispose(): void {
    this.#owned.dispose();
    this.#generation++;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #map(
    group: string,
    names: readonly string[],
    normalize: boolean,
    width: number,
    height: number,
  ): Float32Array {
    const core = this.getHandle();
    const groups = [...this.#groups.keys()];
    const index = groups.indexOf(checkOneOf('group', group, groups));
    const map = core.heatMap(index, names, normalize, width, height);
    try {
      return map.view().slice() as Float32Array;
    } finally {
      map.delete();
    }
  }
}

/** `record` of a call's options. */
export interface CheckedRecord {
  recorder: AttentionRecorder;
  name: string;
  conditional: boolean;
  generation: number;
}

/** Returns `record` of a call's options; null if it is not recorded. */
export function checkRecord(options: { record?: RecordOptions | null } | undefined): CheckedRecord | null {
  const given = readOptions('options', options, ['record']).record ?? null;
  if (given === null) return null;
  const { recorder, name = '', rows = 'all' } = readOptions('record', given, ['recorder', 'name', 'rows']);
  if (!AttentionRecorder.isRecorder(recorder)) failInstance('record.recorder', recorder, AttentionRecorder);
  checkString('record.name', name);
  const conditional = checkOneOf('record.rows', rows, ['all', 'conditional']) !== 'all';
  return { recorder, name, conditional, generation: recorder.generation };
}

/** Returns what a call on the GPU needs to be recorded. */
export function recordOnGpu(
  { recorder, name, conditional, generation }: CheckedRecord,
  { input: { shape }, context }: CallTensors,
  heads: number,
): AcceleratedRecord {
  const batch = shape.length === 2 ? 1 : shape[0]!;
  const length = context?.shape.at(-2) ?? (shape.length === 4 ? shape[2]! * shape[3]! : shape.at(-2)!);
  return {
    groups: recorder.keys,
    conditional,
    check: () => recorder.getHandle().check(shape, length, conditional),
    add: (sums) => {
      if (recorder.generation !== generation) return;
      recorder.getHandle().add(name, shape, heads, conditional ? batch / 2 : batch, sums);
    },
  };
}

/** Arguments of a call of the core that is not recorded. */
export const noRecord: RecordArguments = [null, '', false];

/** Returns the core's arguments. Throws DisposedError. */
export function recordArguments(record: CheckedRecord | null): RecordArguments {
  return record === null ? noRecord : [record.recorder.getHandle(), record.name, record.conditional];
}
