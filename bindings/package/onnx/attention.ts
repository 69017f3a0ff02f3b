// An attention that was found in a graph, as the layer can compute it.
import type { ConstantArray } from './constant_arrays';
import type { NodeProto } from './model';
import type { OutputProjection, Projections } from './projections';
import type { Term } from './scores';

export interface Attention extends Projections, OutputProjection {
  /** The softmax, or the operator that computes a whole attention. */
  readonly node: NodeProto;
  readonly heads: number;
  /** Scale of the scores; null for the default, 1/√headDim. */
  readonly scale: number | null;
  /** Constant that is added to the scores, [batch, heads, tokens, keys]; null for none. */
  readonly mask: ConstantArray | null;
  /** Everything that is added to the scores. */
  readonly terms: readonly Term[];
  /** Inputs of the model from which it computes further masks. */
  readonly maskInputs: readonly string[];
}
