// The denoiser's forward on a tape: as src/denoiser/denoiser, image_block, convolution_block, feed_forward and text_encoder,
// whose parameters it finds by their names. The backward is the tape's.
import { activate } from './operators/activation';
import { attend, type AttentionMask } from './operators/attention';
import { convolution, depthwiseConvolution } from './operators/convolution';
import { embed } from './operators/embedding';
import { layerNorm } from './operators/layer_norm';
import { linear } from './operators/linear';
import { gatedSum, modulate } from './operators/modulation';
import { fromPatches, toPatches } from './operators/patches';
import { sum, sumShared } from './operators/sums';
import type { Tape, Value } from './tape';

/** Of src/denoiser/configuration what a forward takes. */
export interface Configuration {
  pixelBlocks: number;
  patch: number;
  features: number;
  blocks: number;
  numHeads: number;
  textBlocks: number;
  textHeads: number;
}

/** What a forward is given. */
export interface ModelInputs {
  /** [batch, imageSize², 3] */
  noisy: Value;
  /** [batch, 1, time features] */
  timestepEmbedding: Value;
  /** [batch, length], whole numbers */
  ids: Value;
  /** [batch, length], ones and zeros: which words are no filling. */
  keyMask: AttentionMask;
  /** [1, 1, length, length], added to scores: each word sees itself and those before it. */
  causalMask: AttentionMask;
}

/** Parts of the time's modulation, as src/denoiser/image_block numbers them. */
const blockParts = { selfShift: 0, selfGate: 2, feedForwardShift: 3, feedForwardGate: 5, all: 6 } as const;
const halving = 2;

export class Model {
  readonly #tape: Tape;
  readonly #parameter: (name: string) => Value;
  readonly #configuration: Configuration;

  constructor(tape: Tape, parameter: (name: string) => Value, configuration: Configuration) {
    this.#tape = tape;
    this.#parameter = parameter;
    this.#configuration = configuration;
  }

  /** Records a forward. `atMiddle` is called where the tokens half-way are recorded. */
  forward(inputs: ModelInputs, atMiddle: (tokens: Value) => void): Value {
    const tape = this.#tape;
    const { pixelBlocks, patch, features, blocks } = this.#configuration;
    const batch = inputs.noisy.shape[0]!;
    const context = this.#encode(inputs);
    const hidden = activate(tape, this.#linear('time_embedding.in', inputs.timestepEmbedding), 'silu');
    const time = activate(tape, this.#linear('time_embedding.out', hidden), 'silu');
    const modulation = tape.reshaped(this.#linear('modulation', time), [batch, blockParts.all + 2, features]);

    const levels = Math.log2(patch);
    let pixels = convolution(tape, inputs.noisy, this.#parameter('pixels.in.weight'));
    for (let level = 0; level < levels; ++level) {
      for (let block = 0; block < pixelBlocks; ++block) {
        pixels = this.#convolutionBlock(`pixels.${level}.before.${block}`, pixels, time);
      }
      pixels = toPatches(tape, pixels, halving);
    }
    let tokens = sumShared(tape, this.#linear('patch_embedding', pixels), this.#parameter('positions'));
    for (let block = 0; block < blocks; ++block) {
      tokens = this.#imageBlock(`transformer_blocks.${block}`, tokens, context, inputs.keyMask, modulation);
      if (block === Math.floor(blocks / 2)) atMiddle(tokens);
    }
    tokens = modulate(tape, layerNorm(tape, tokens), modulation, blockParts.all);
    pixels = sum(tape, pixels, this.#linear('patch_out', tokens));
    for (let level = levels - 1; level >= 0; --level) {
      pixels = fromPatches(tape, pixels, halving);
      const after = pixelBlocks === 0 ? 0 : pixelBlocks + 1;
      for (let block = 0; block < after; ++block) {
        pixels = this.#convolutionBlock(`pixels.${level}.after.${block}`, pixels, time);
      }
    }
    pixels = activate(tape, layerNorm(tape, pixels), 'silu');
    return convolution(tape, pixels, this.#parameter('pixels.out.weight'));
  }

  #encode({ ids, causalMask }: ModelInputs): Value {
    const tape = this.#tape;
    const { textBlocks, textHeads } = this.#configuration;
    const positions = this.#parameter('text.embedding.positions');
    let words = embed(tape, ids, this.#parameter('text.embedding.weight'), positions);
    for (let block = 0; block < textBlocks; ++block) {
      const name = `text.blocks.${block}`;
      const asking = layerNorm(tape, words);
      words = sum(tape, words, this.#attention(`${name}.attn1`, asking, null, causalMask, textHeads));
      words = sum(tape, words, this.#feedForward(`${name}.ff`, layerNorm(tape, words), false));
    }
    return layerNorm(tape, words);
  }

  #imageBlock(name: string, tokens: Value, context: Value, keyMask: AttentionMask, time: Value): Value {
    const tape = this.#tape;
    const { numHeads } = this.#configuration;
    const modulation = sumShared(tape, time, this.#parameter(`${name}.scale_shift_table`));
    const own = modulate(tape, layerNorm(tape, tokens), modulation, blockParts.selfShift);
    const fromPicture = this.#attention(`${name}.attn1`, own, null, null, numHeads);
    let state = gatedSum(tape, tokens, fromPicture, modulation, blockParts.selfGate);
    const asking = layerNorm(tape, state);
    state = sum(tape, state, this.#attention(`${name}.attn2`, asking, context, keyMask, numHeads));
    const input = modulate(tape, layerNorm(tape, state), modulation, blockParts.feedForwardShift);
    const branch = this.#feedForward(`${name}.ff`, input, true);
    return gatedSum(tape, state, branch, modulation, blockParts.feedForwardGate);
  }

  #convolutionBlock(name: string, pixels: Value, time: Value): Value {
    const tape = this.#tape;
    const [batch, , features] = pixels.shape as [number, number, number];
    let hidden = activate(tape, layerNorm(tape, pixels), 'silu');
    hidden = convolution(tape, hidden, this.#parameter(`${name}.in.weight`));
    const modulation = tape.reshaped(this.#linear(`${name}.modulation`, time), [batch, 2, features]);
    hidden = activate(tape, modulate(tape, layerNorm(tape, hidden), modulation, 0), 'silu');
    return sum(tape, pixels, convolution(tape, hidden, this.#parameter(`${name}.out.weight`)));
  }

  #feedForward(name: string, input: Value, mixes: boolean): Value {
    const tape = this.#tape;
    let hidden = this.#linear(`${name}.in`, input);
    if (mixes) hidden = depthwiseConvolution(tape, hidden, this.#parameter(`${name}.mix.weight`));
    return this.#linear(`${name}.out`, activate(tape, hidden, 'gelu'));
  }

  #attention(
    name: string,
    tokens: Value,
    context: Value | null,
    mask: AttentionMask | null,
    heads: number,
  ): Value {
    const parameters = {
      query: this.#parameter(`${name}.to_q.weight`),
      key: this.#parameter(`${name}.to_k.weight`),
      value: this.#parameter(`${name}.to_v.weight`),
      output: this.#parameter(`${name}.to_out.0.weight`),
      bias: this.#parameter(`${name}.to_out.0.bias`),
    };
    return attend(this.#tape, tokens, context, mask, parameters, heads);
  }

  #linear(name: string, input: Value): Value {
    return linear(this.#tape, input, this.#parameter(`${name}.weight`), this.#parameter(`${name}.bias`));
  }
}
