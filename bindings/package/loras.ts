// The LoRAs of a layer: loading, scales, removal, merging.
import { checkFinite, checkString, fail, read, readOptions, show } from './checks';
import { decodeTensor, decodeValues, type Encoded } from './decoding';
import { ArgumentError, WeightsError } from './errors';
import type { LayerState } from './layer_state';
import { type LoraMatch, type LoraMatches, matchLora } from './lora_matching';
import type { StoredTensor } from './safetensors';
import { type Tensor, tensorHandle } from './tensor';
import type { WeightFile } from './weight_file';
import { checkFile, describeWeights, type ReadableWeight, type WeightBytes } from './weights';

export interface LoadLoraOptions {
  /**
   * The module of the layer in a file of many, in any spelling: as in diffusers
   * ('down_blocks.0.attentions.0.transformer_blocks.0.attn2.'), or as in the file. Default: the only
   * attention of the file.
   */
  prefix?: string;
  /** Default 1. */
  scale?: number;
}

export interface LoraLoadResult {
  /** The parameters that the LoRA updates. */
  updated: string[];
  /** The tensors of other modules, which were not loaded. */
  ignored: string[];
  /** The rank of each updated parameter. */
  rank: Record<string, number>;
}

interface Checked {
  name: string;
  prefix: string;
  scale: number;
}

/** An update in WASM memory. */
interface Update {
  readonly parameter: string;
  readonly down: Tensor;
  readonly up: Tensor;
  /** alpha / rank. */
  readonly factor: number;
}

/** Returns the number that a tensor of one element has. */
function numberOf(encoded: Encoded): number {
  const { bytes, type } = encoded;
  if (/^B?F/.test(type)) return decodeValues(encoded)[0]!;
  const bits = [...bytes].reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  return Number(type.startsWith('I') ? BigInt.asIntN(8 * bytes.length, bits) : bits);
}

function factorOf(rank: number, alpha: Encoded | null): number {
  if (alpha === null) return 1;
  const value = numberOf(alpha);
  if (!Number.isFinite(value)) {
    throw new WeightsError(`weight ${show(alpha.name)} is ${value}; expected a finite number`);
  }
  return value === 0 ? 1 : value / rank;
}

export class LayerLoras {
  readonly #state: LayerState;
  readonly #names: string[] = [];
  #scales: number[] = [];

  constructor(state: LayerState) {
    this.#state = state;
  }

  get names(): readonly string[] {
    this.#state.requireAlive();
    return Object.freeze([...this.#names]);
  }

  load(name: string, weights: WeightBytes, options: LoadLoraOptions | undefined): LoraLoadResult {
    const checked = this.#check(name, options);
    const described = describeWeights(weights, 'loadLoraFrom');
    const matched = this.#match(described, checked);
    return this.#add(checked, matched, (weight: ReadableWeight) => ({ ...weight, bytes: weight.read() }));
  }

  async loadFrom(
    name: string,
    file: WeightFile,
    options: LoadLoraOptions | undefined,
  ): Promise<LoraLoadResult> {
    const checked = this.#check(name, options);
    checkFile(file, 'loadLora');
    const matched = this.#match(file.content.tensors, checked);
    const wanted = matched.matches.flatMap(({ down, up, alpha }) => [down, up, ...(alpha ? [alpha] : [])]);
    const bytes = await file.content.readBytes(wanted);
    return this.#add(checked, matched, (tensor: StoredTensor) => ({
      ...tensor,
      bytes: bytes[wanted.indexOf(tensor)]!,
    }));
  }

  setScales(scales: Readonly<Record<string, number>>): void {
    this.#state.requireAlive();
    if (typeof scales !== 'object' || scales === null) fail('scales', scales, 'an object of numbers by name');
    // Reading runs the caller's code, which may load and remove LoRAs.
    const entries = read('scales', () => Object.entries(scales));
    const next = [...this.#scales];
    for (const [name, scale] of entries) {
      next[this.#find('scales', name)] = checkFinite(`scales[${show(name)}]`, scale);
    }
    this.#state.requireAlive();
    if (next.every((scale, index) => scale === this.#scales[index])) return;
    this.#change(true, () => this.#state.core.setLoraScales(next));
    this.#scales = next;
  }

  remove(name: string): void {
    this.#state.requireAlive();
    const index = this.#find('name', checkString('name', name));
    this.#change(this.#scales[index] !== 0, () => this.#state.core.removeLora(index));
    this.#names.splice(index, 1);
    this.#scales.splice(index, 1);
  }

  merge(): void {
    const { core } = this.#state;
    if (this.#names.length === 0) return;
    this.#change(true, () => core.mergeLoras());
    this.#names.length = 0;
    this.#scales.length = 0;
  }

  /** `isEffective`: false if calls compute with the same weights as before. */
  #change(isEffective: boolean, change: () => void): void {
    if (isEffective) this.#state.beforeChange();
    change();
    if (isEffective) this.#state.parametersVersion++;
  }

  #check(name: string, options: LoadLoraOptions | undefined): Checked {
    this.#state.requireAlive();
    const { prefix = '', scale = 1 } = readOptions('options', options, ['prefix', 'scale']);
    checkString('prefix', prefix);
    checkFinite('scale', scale);
    this.#requireNew(checkString('name', name));
    return { name, prefix, scale };
  }

  #requireNew(name: string): void {
    if (!this.#names.includes(name)) return;
    throw new ArgumentError(`name is ${show(name)}, which is loaded; expected another name, or removeLora`);
  }

  #find(argument: string, name: string): number {
    const index = this.#names.indexOf(name);
    if (index >= 0) return index;
    const loaded = this.#names.length === 0 ? 'no LoRA is loaded' : `loaded: ${show(this.#names)}`;
    throw new ArgumentError(`${argument} has ${show(name)}; expected names of loaded LoRAs (${loaded})`);
  }

  #match<W extends StoredTensor | ReadableWeight>(
    weights: readonly W[],
    { prefix }: Checked,
  ): LoraMatches<W> {
    return matchLora(this.#state.core, this.#state.core.parameterNames(), weights, prefix);
  }

  /** All or nothing: what may fail comes before, or is undone. */
  #add<W>(
    { name, scale }: Checked,
    { matches, ignored }: LoraMatches<W>,
    encode: (weight: W) => Encoded,
  ): LoraLoadResult {
    const { dtype } = this.#state;
    // Again: reading weights may run the caller's code, or take time.
    this.#requireNew(name);
    const updates: Update[] = [];
    try {
      for (const match of matches) updates.push(this.#decode(match, encode));
      const { core } = this.#state;
      this.#change(scale !== 0, () => {
        core.addLora();
        try {
          for (const { parameter, down, up, factor } of updates) {
            const handles = [down, up].map((tensor) => tensorHandle(parameter, tensor, dtype));
            core.addLoraUpdate(parameter, handles[0]!, handles[1]!, factor);
          }
          core.setLoraScales([...this.#scales, scale]);
        } catch (error) {
          core.removeLora(this.#names.length);
          throw error;
        }
      });
    } finally {
      for (const { down, up } of updates) [down, up].forEach((tensor) => tensor.dispose());
    }
    this.#names.push(name);
    this.#scales.push(scale);
    return {
      updated: matches.map(({ parameter }) => parameter),
      ignored,
      rank: Object.fromEntries(matches.map(({ parameter, rank }) => [parameter, rank])),
    };
  }

  #decode<W>({ parameter, rank, ...weights }: LoraMatch<W>, encode: (weight: W) => Encoded): Update {
    const { dtype } = this.#state;
    const factor = factorOf(rank, weights.alpha && encode(weights.alpha));
    // Also of tensors [rank, in, 1, 1] and [out, rank, 1, 1].
    const matrix = (weight: W): Tensor => {
      const encoded = encode(weight);
      return decodeTensor({ ...encoded, shape: encoded.shape.slice(0, 2) }, dtype);
    };
    const down = matrix(weights.down);
    try {
      return { parameter, down, up: matrix(weights.up), factor };
    } catch (error) {
      down.dispose();
      throw error;
    }
  }
}
