// Compiles only if the package's declarations fulfil the contract's: every export, member, argument and result.
import type * as contract from './contract';
import type * as actual from 'diffusion-cross-attention';

/** A contract's type with the package's own classes in place of the contract's: what callers pass. */
type Own<T> = T extends contract.Tensor
  ? actual.Tensor
  : T extends contract.ComputationNode
    ? actual.ComputationNode
    : T extends Map<infer Key, infer Value>
      ? Map<Own<Key>, Own<Value>>
      : T extends contract.AttentionOptions
        ? OwnMembers<T>
        : T extends contract.CompileOptions
          ? OwnMembers<T>
          : T extends readonly (infer Element)[]
            ? Element extends contract.ComputationNode
              ? actual.ComputationNode[]
              : T
            : T extends Record<string, contract.Tensor>
              ? Record<string, actual.Tensor>
              : T;
type OwnMembers<T> = { [Key in keyof T]: Own<T[Key]> };
type OwnAll<Arguments extends unknown[]> = { [Index in keyof Arguments]: Own<Arguments[Index]> };

/** Whoever may call the contract's function may call the package's, and gets what the contract promises. */
type Callable<Promised, Given> = Promised extends (...args: infer Arguments) => infer Result
  ? Given extends (...args: OwnAll<Arguments>) => infer GivenResult
    ? GivenResult extends Result
      ? true
      : { wrongResult: GivenResult; promised: Result }
    : { wrongArguments: OwnAll<Arguments>; given: Given }
  : never;

/** Function members are callable as promised, other members have a type that was promised. */
type Member<Promised, Given> = [Promised] extends [(...args: never[]) => unknown]
  ? Callable<Promised, Given>
  : [Given] extends [Promised]
    ? true
    : { wrongMember: Given; promised: Promised };
type Members<Promised, Given> = {
  [Key in keyof Promised]-?: Key extends keyof Given ? Member<Promised[Key], Given[Key]> : { missing: Key };
};
type Failures<Checked> = { [Key in keyof Checked as Checked[Key] extends true ? never : Key]: Checked[Key] };
/** {} where every member passes, else the ones that do not, with the reason. */
type Missed<Promised, Given> = Failures<Members<Promised, Given>>;

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : { left: A; right: B };
declare function isTrue<T extends true>(...result: T[]): void;
/** An error here shows the members that do not fulfil the contract, with the reason. */
declare function isEmpty<T extends { [Key in keyof T]: never }>(): void;

// Instances.
isEmpty<Missed<contract.Tensor, actual.Tensor>>();
isEmpty<Missed<contract.DiffusionCrossAttention, actual.DiffusionCrossAttention>>();
isEmpty<Missed<contract.ComputationNode, actual.ComputationNode>>();
isEmpty<Missed<contract.CompiledGraph, actual.CompiledGraph>>();
isEmpty<Missed<contract.RuntimeInfo, actual.RuntimeInfo>>();
isEmpty<Missed<contract.CrossAttentionError, actual.CrossAttentionError>>();
isEmpty<Missed<contract.WeightLoadResult, actual.WeightLoadResult>>();
isEmpty<Missed<contract.WeightLoadValidation, actual.WeightLoadValidation>>();

// Static members, constructors and functions.
type Static<Class> = Omit<Class, 'prototype'>;
isEmpty<Missed<Static<typeof contract.Tensor>, Static<typeof actual.Tensor>>>();
type ConstructorArguments = ConstructorParameters<typeof contract.DiffusionCrossAttention>;
isTrue<
  typeof actual.DiffusionCrossAttention extends new (
    ...args: OwnAll<ConstructorArguments>
  ) => actual.DiffusionCrossAttention
    ? true
    : false
>();
isTrue<Callable<typeof contract.init, typeof actual.init>>();
isTrue<Callable<typeof contract.memoryInUse, typeof actual.memoryInUse>>();
isTrue<Callable<typeof contract.compile, typeof actual.compile>>();
isTrue<Callable<typeof contract.toOnnx, typeof actual.toOnnx>>();

// Options: whatever the contract lets callers write, and no member of another type.
isTrue<Equal<actual.DType, contract.DType>>();
isTrue<contract.InitOptions extends actual.InitOptions ? true : false>();
isTrue<contract.LayerOptions extends actual.LayerOptions ? true : false>();
isEmpty<Missed<Required<contract.InitOptions>, Required<actual.InitOptions>>>();
isEmpty<Missed<Required<contract.LayerOptions>, Required<actual.LayerOptions>>>();
isTrue<OwnMembers<contract.AttentionOptions> extends actual.AttentionOptions ? true : false>();

// The training flag can be set; everything else of a layer is read-only.
type Writable<T> = {
  [Key in keyof T]-?: Equal<{ [K in Key]: T[K] }, { -readonly [K in Key]: T[K] }> extends true ? Key : never;
}[keyof T];
type WritableMembers<T> = {
  [Key in Writable<T>]: T[Key] extends (...args: never[]) => unknown ? never : Key;
}[Writable<T>];
isTrue<Equal<WritableMembers<actual.DiffusionCrossAttention>, 'training'>>();
isTrue<Equal<WritableMembers<actual.Tensor>, never>>();

// Every export of the contract is there.
isTrue<Exclude<keyof typeof contract, keyof typeof actual> extends never ? true : false>();
