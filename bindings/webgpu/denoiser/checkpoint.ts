// A trainer's checkpoint (src/denoiser/weights_file) on its way to the card and back: a safetensors file that the core has
// written, and checks when it is to read it. Metadata say what the model is made of.
interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

type Header = Record<string, Entry> & { __metadata__: Record<string, string> };

/** What a checkpoint holds of each parameter, by the prefix of its name there. */
export const parts = { values: '', mean: 'adam.mean.', square: 'adam.square.', average: 'average.' } as const;
export type Part = keyof typeof parts;

export interface Tensor {
  shape: readonly number[];
  values: Float32Array;
}

const lengthBytes = 8;

export class Checkpoint {
  readonly #header: Header;
  readonly #data: Uint8Array;

  constructor(file: Uint8Array) {
    const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
    const text = new TextDecoder().decode(file.subarray(lengthBytes, lengthBytes + length));
    this.#header = JSON.parse(text) as Header;
    this.#data = file.slice(lengthBytes + length);
  }

  /** A number that the core has written there. */
  number(name: string): number {
    return Number(this.#header.__metadata__[name]);
  }

  /** Names of the parameters, in the file's order. */
  get names(): string[] {
    const prefixes = Object.values(parts).filter((prefix) => prefix !== '');
    return Object.keys(this.#header).filter(
      (name) => name !== '__metadata__' && !prefixes.some((prefix) => name.startsWith(prefix)),
    );
  }

  /** Of a parameter; its values are the checkpoint's own. */
  tensor(part: Part, name: string): Tensor {
    const { shape, data_offsets: offsets } = this.#header[parts[part] + name]!;
    const [begin, end] = offsets;
    return { shape, values: new Float32Array(this.#data.buffer, begin, (end - begin) / 4) };
  }

  /** The file, after so many steps. */
  toFile(step: number): Uint8Array {
    const metadata = { ...this.#header.__metadata__, step: String(step) };
    const text = JSON.stringify({ ...this.#header, __metadata__: metadata });
    const bytes = new TextEncoder().encode(text);
    // Filled up with spaces, as the format has it: numbers are to lie at multiples of their size.
    const header = new Uint8Array(Math.ceil(bytes.length / 8) * 8).fill(0x20);
    header.set(bytes);
    const file = new Uint8Array(lengthBytes + header.length + this.#data.length);
    new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
    file.set(header, lengthBytes);
    file.set(this.#data, lengthBytes + header.length);
    return file;
  }
}
