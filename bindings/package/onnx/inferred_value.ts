// What shape inference knows about a value before a model runs.
import { known, symbol, valueOf } from './symbolic_size';
import type { SymbolicSize } from './symbolic_size';
import type { NodeProto } from './model';
import { attributeOf } from './model_graph';
import { dataTypes } from './tensors';

export type Sizes = readonly SymbolicSize[];
export type Elements = readonly (SymbolicSize | null)[];

export interface InferredValue {
  /** Null if the rank is unknown. */
  readonly sizes: Sizes | null;
  /** Elements of a scalar or a list, each null if it is unknown; null if all are. */
  readonly elements: Elements | null;
  readonly isInteger: boolean;
}

/** Elements of longer lists are not inferred: no shape has more dimensions. */
export const maxElements = 16;

export const unknownValue: InferredValue = { sizes: null, elements: null, isInteger: false };

export const ofShape = (sizes: Sizes | null): InferredValue => ({ ...unknownValue, sizes });

/** Returns the value of a list of these elements, or of a scalar. */
export const ofElements = (elements: Elements, isInteger: boolean, isScalar = false): InferredValue => ({
  sizes: isScalar ? [] : [known(elements.length)],
  elements: elements.length <= maxElements ? elements : null,
  isInteger,
});

/** Returns a symbol for an unknown size. */
export const newSize = (value: string, axis: number): SymbolicSize => symbol(`${value}#${axis}`);

export const isIntegerType = (type: number | undefined): boolean =>
  type === dataTypes.int64 || type === dataTypes.int32;

/** One step of shape inference: a node and the inferred values of its inputs. */
export class Step {
  constructor(
    readonly node: NodeProto,
    /** The name of the value, one of the node's outputs. */
    readonly value: string,
    private readonly inferred: ReadonlyMap<string, InferredValue>,
  ) {}

  input(index: number): InferredValue {
    return this.inferred.get(this.node.input[index] ?? '') ?? unknownValue;
  }
  has(index: number): boolean {
    return (this.node.input[index] ?? '') !== '';
  }
  /**
   * Returns integers that are an input or, in older operator sets, an attribute; null if they are unknown.
   */
  integers(index: number, attribute: string): number[] | null {
    if (!this.has(index)) return attributeOf(this.node, attribute)?.ints ?? null;
    const values = this.input(index).elements?.map((element) => element && valueOf(element));
    return values?.every((value) => value !== null) ? (values as number[]) : null;
  }
}

/** Infers the value of a node's output. */
export type Rule = (step: Step) => InferredValue;
