// The part of a layer's interface that concerns LoRAs.
import type { LayerState } from './layer_state';
import { LayerLoras, type LoadLoraOptions, type LoraLoadResult } from './loras';
import type { WeightFile } from './weight_file';
import type { WeightBytes } from './weights';

const lorasOf = new WeakMap<object, LayerLoras>();

/** Prepares a new layer for LoRAs, and returns its state. */
export function enableLoras(layer: LoraLayer, state: LayerState): LayerState {
  lorasOf.set(layer, new LayerLoras(state));
  return state;
}

/** Low-rank adaptations of a layer's weights (Hu et al., LoRA, 2021). */
export abstract class LoraLayer {
  /**
   * Loads a LoRA: W' = W + Σ scale · alpha / rank · up·down for those of to_q, to_k, to_v and to_out that the
   * file has. Calls then compute with W', at no cost. Parameters, their gradients, loadWeights and
   * saveWeights are of W, the layer's own weights: only mergeLoras changes them.
   *
   * Accepts the names of PEFT, diffusers and kohya's scripts, also with LDM's block names. Without an alpha,
   * or if it is 0, alpha is the rank. Tensors of other modules are reported in `ignored`.
   *
   * @throws ArgumentError if `name` is loaded; WeightsError for other kinds of adapters (LoHa, LoKr, DoRA),
   * for shapes that do not fit, and if `prefix` does not select an attention. Then nothing has changed.
   *
   * @example
   * const prefix = 'mid_block.attentions.0.transformer_blocks.0.attn2.';
   * layer.loadLora('style', file, { prefix, scale: 0.8 });
   */
  loadLora(name: string, weights: WeightBytes, options?: LoadLoraOptions): LoraLoadResult {
    return lorasOf.get(this)!.load(name, weights, options);
  }

  /** Resolves with the result of loadLora for an open file, of which it reads only the layer's tensors. */
  async loadLoraFrom(name: string, file: WeightFile, options?: LoadLoraOptions): Promise<LoraLoadResult> {
    return lorasOf.get(this)!.loadFrom(name, file, options);
  }

  /**
   * Sets the scales of some LoRAs, by name. If all scales are 0, calls return the bits of before. Throws
   * ArgumentError for an unknown name or a scale that is not finite.
   */
  setLoraScales(scales: Readonly<Record<string, number>>): void {
    lorasOf.get(this)!.setScales(scales);
  }

  /** Removes a LoRA, exactly. Throws ArgumentError for an unknown name. */
  removeLora(name: string): void {
    lorasOf.get(this)!.remove(name);
  }

  /** Adds all LoRAs, at their scales, to the layer's own weights, and removes them. */
  mergeLoras(): void {
    lorasOf.get(this)!.merge();
  }

  /** The names of the loaded LoRAs, in the order of loading. */
  get loras(): readonly string[] {
    return lorasOf.get(this)!.names;
  }
}
