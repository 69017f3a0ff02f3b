import { checkString, show } from './checks';
import { ArgumentError, CrossAttentionError, messageOf } from './errors';
import type { FileContent, OpenOptions, WeightFileSource } from './file_content';
import { guardMethods, internal, lockFields, requireInternal } from './instances';
import { getCore } from './runtime';
import type { StoredTensor } from './safetensors';
import type { Tensor } from './tensor';

/**
 * A safetensors file, or the shards of one, of which only the header has been read. Reads are limited to the
 * tensors that are asked for, and only their bytes are copied to WASM memory.
 *
 * @example
 * const file = await WeightFile.open('https://example.com/unet.safetensors');
 * await layer.loadWeightsFrom(file, { prefix: 'mid_block.attentions.0.transformer_blocks.0.attn2.' });
 * file.close();
 */
export class WeightFile {
  static readonly name = 'WeightFile';

  /** The names of all tensors, in the order of the header. */
  readonly names: readonly string[];
  /** The strings under __metadata__. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly #content: FileContent;
  readonly #byName: ReadonlyMap<string, StoredTensor>;

  static {
    guardMethods(this, (value) => #content in value);
  }

  private constructor(token: typeof internal, content: FileContent) {
    requireInternal(token, 'WeightFile', 'WeightFile.open');
    this.#content = content;
    this.#byName = new Map(content.tensors.map((tensor) => [tensor.name, tensor]));
    this.names = Object.freeze([...this.#byName.keys()]);
    this.metadata = content.metadata;
    lockFields(this);
  }

  /**
   * Opens a file: a URL (http, https, blob and data, and file in Node), a Blob or File, the bytes of a file,
   * an array of the shards of a file, or the URL of a *.safetensors.index.json, whose shards lie next to it.
   * A string that is not an absolute URL is a path: relative to document.baseURI in a page, to the working
   * directory in Node.
   *
   * A URL is read by HTTP Range requests; if the server does not support them, the whole file is downloaded
   * and stored outside WASM memory. Bytes are not copied; do not change them while the file is in use.
   *
   * @throws ArgumentError for a wrong source or option; WeightsError, with the URL or name, if the file
   * cannot be read or is not valid; AbortedError if the signal is aborted.
   */
  static async open(source: WeightFileSource, options?: OpenOptions): Promise<WeightFile> {
    getCore();
    const { openFile } = await import('./files/open_file').catch((error: unknown) => {
      throw new CrossAttentionError('ERR_LOAD', `WeightFile could not be loaded: ${messageOf(error)}`);
    });
    return new WeightFile(internal, await openFile(source, options));
  }

  /** @internal True for a WeightFile of this copy of the package, false for a proxy of one. */
  static isWeightFile(value: unknown): value is WeightFile {
    return typeof value === 'object' && value !== null && #content in value;
  }

  /** Returns the shape of a tensor; undefined for an unknown name. */
  shapeOf(name: string): readonly number[] | undefined {
    return this.#byName.get(checkString('name', name))?.shape;
  }

  /** Returns the dtype as the header states it: 'F32', 'F16', 'F8_E4M3', …; undefined for an unknown name. */
  storedTypeOf(name: string): string | undefined {
    return this.#byName.get(checkString('name', name))?.type;
  }

  /**
   * Reads a tensor: F64 as float64, all other numbers as float32, without factors such as weight_scale.
   * Throws ArgumentError for an unknown name and for integers that float32 cannot represent, WeightsError for
   * a type without a conversion (such as F4) or a shape that exceeds memory.
   */
  async read(name: string): Promise<Tensor> {
    const tensor = this.#byName.get(checkString('name', name));
    if (tensor === undefined) {
      throw new ArgumentError(
        `name is ${show(name)}; expected one of the ${this.names.length} names of the file`,
      );
    }
    return this.#content.readTensor(tensor);
  }

  /** Ends all reads, and closes the file. A second call has no effect. */
  close(): void {
    this.#content.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal */
  get content(): FileContent {
    return this.#content;
  }
}
