// What can be said of a value before a model runs.
import { known, unknown, valueOf } from './amounts';
import type { Amount } from './amounts';
import type { NodeProto } from './model';
import { attributeOf } from './model_graph';
import { dataTypes } from './tensors';

export type Sizes = readonly Amount[];
export type Elements = readonly (Amount | null)[];

export interface Facts {
  /** Null: not even the rank is known. */
  readonly sizes: Sizes | null;
  /** Of a scalar or a list, null for those that are not known; null where none is. */
  readonly elements: Elements | null;
  readonly isInteger: boolean;
}

/** As many as a shape could have dimensions. */
export const mostElements = 16;

export const nothing: Facts = { sizes: null, elements: null, isInteger: false };

export const ofShape = (sizes: Sizes | null): Facts => ({ ...nothing, sizes });

/** A list of as many elements, or a scalar. */
export const ofElements = (elements: Elements, isInteger: boolean, isScalar = false): Facts => ({
  sizes: isScalar ? [] : [known(elements.length)],
  elements: elements.length <= mostElements ? elements : null,
  isInteger,
});

export const newSize = (value: string, axis: number): Amount => unknown(`${value}#${axis}`);

export const isIntegerType = (type: number | undefined): boolean =>
  type === dataTypes.int64 || type === dataTypes.int32;

/** A node with what is known of its inputs. */
export class Step {
  constructor(
    readonly node: NodeProto,
    private readonly facts: ReadonlyMap<string, Facts>,
  ) {}

  /** The value that it makes. */
  get value(): string {
    return this.node.output[0] ?? '';
  }
  input(index: number): Facts {
    return this.facts.get(this.node.input[index] ?? '') ?? nothing;
  }
  has(index: number): boolean {
    return (this.node.input[index] ?? '') !== '';
  }
  /** Integers that are an input or, in older operators, an attribute; null where they are not known. */
  integers(index: number, attribute: string): number[] | null {
    if (!this.has(index)) return attributeOf(this.node, attribute)?.ints ?? null;
    const values = this.input(index).elements?.map((element) => element && valueOf(element));
    return values?.every((value) => value !== null) ? (values as number[]) : null;
  }
}
