// Compiles only if the package's declarations fulfil the contract: every export, member, argument and result.
import type * as contract from './contract';
import type * as actual from 'diffusion-cross-attention';

/**
 * A type of the contract in which the package's classes replace those of the contract, as callers pass them.
 */
type Own<T> = T extends contract.Tensor
  ? actual.Tensor
  : T extends contract.WeightFile
    ? actual.WeightFile
    : T extends contract.AttentionRecorder
      ? actual.AttentionRecorder
      : T extends { recorder: contract.AttentionRecorder }
        ? OwnMembers<T>
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

/**
 * true if the package's function accepts all arguments of the contract's function and returns the promised
 * result.
 */
type Callable<Expected, Actual> = Expected extends (...args: infer Arguments) => infer Result
  ? Actual extends (...args: OwnAll<Arguments>) => infer ActualResult
    ? ActualResult extends Result
      ? true
      : { wrongResult: ActualResult; expected: Result }
    : { wrongArguments: OwnAll<Arguments>; actual: Actual }
  : never;

/** Compares functions by Callable, and other members by assignability. */
type Member<Expected, Actual> = [Expected] extends [(...args: never[]) => unknown]
  ? Callable<Expected, Actual>
  : [Actual] extends [Expected]
    ? true
    : { wrongMember: Actual; expected: Expected };
type Members<Expected, Actual> = {
  [Key in keyof Expected]-?: Key extends keyof Actual ? Member<Expected[Key], Actual[Key]> : { missing: Key };
};
type Failures<Checked> = { [Key in keyof Checked as Checked[Key] extends true ? never : Key]: Checked[Key] };
/** The members that do not fulfil the contract, with the reason; {} if there are none. */
type Violations<Expected, Actual> = Failures<Members<Expected, Actual>>;

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : { left: A; right: B };
declare function isTrue<T extends true>(...result: T[]): void;
/** A compiler error at a call lists the members that do not fulfil the contract, with the reason. */
declare function isEmpty<T extends { [Key in keyof T]: never }>(): void;

// Instances.
isEmpty<Violations<contract.Tensor, actual.Tensor>>();
isEmpty<Violations<contract.DiffusionCrossAttention, actual.DiffusionCrossAttention>>();
isEmpty<Violations<contract.ComputationNode, actual.ComputationNode>>();
isEmpty<Violations<contract.CompiledGraph, actual.CompiledGraph>>();
isEmpty<Violations<contract.AdamOptimizer, actual.AdamOptimizer>>();
isEmpty<Violations<contract.WeightFile, actual.WeightFile>>();
isEmpty<Violations<contract.AttentionRecorder, actual.AttentionRecorder>>();
isEmpty<Violations<contract.RuntimeInfo, actual.RuntimeInfo>>();
isEmpty<Violations<contract.CrossAttentionError, actual.CrossAttentionError>>();
isEmpty<Violations<contract.LoraLoadResult, actual.LoraLoadResult>>();
isEmpty<Violations<contract.WeightLoadResult, actual.WeightLoadResult>>();
isEmpty<Violations<contract.WeightLoadValidation, actual.WeightLoadValidation>>();

// Static members, constructors and functions.
type Static<Class> = Omit<Class, 'prototype'>;
isEmpty<Violations<Static<typeof contract.Tensor>, Static<typeof actual.Tensor>>>();
isEmpty<
  Violations<Omit<Static<typeof contract.WeightFile>, 'open'>, Omit<Static<typeof actual.WeightFile>, 'open'>>
>();
type OpenArguments = Parameters<typeof contract.WeightFile.open>;
isTrue<OpenArguments extends Parameters<typeof actual.WeightFile.open> ? true : false>();
type ConstructorArguments = ConstructorParameters<typeof contract.DiffusionCrossAttention>;
isTrue<
  typeof actual.DiffusionCrossAttention extends new (
    ...args: OwnAll<ConstructorArguments>
  ) => actual.DiffusionCrossAttention
    ? true
    : false
>();
type AdamArguments = ConstructorParameters<typeof contract.AdamOptimizer>;
type ActualAdamArguments = ConstructorParameters<typeof actual.AdamOptimizer>;
isTrue<AdamArguments[1] extends ActualAdamArguments[1] ? true : false>();
isTrue<
  typeof actual.AttentionRecorder extends new (
    ...args: ConstructorParameters<typeof contract.AttentionRecorder>
  ) => actual.AttentionRecorder
    ? true
    : false
>();
isTrue<Callable<typeof contract.init, typeof actual.init>>();
isTrue<Callable<typeof contract.memoryInUse, typeof actual.memoryInUse>>();
isTrue<Callable<typeof contract.compile, typeof actual.compile>>();
isTrue<Callable<typeof contract.toOnnx, typeof actual.toOnnx>>();

// Options accept everything that the contract accepts, and their members have the same types.
isTrue<Equal<actual.DType, contract.DType>>();
isTrue<contract.InitOptions extends actual.InitOptions ? true : false>();
isTrue<contract.LayerOptions extends actual.LayerOptions ? true : false>();
isEmpty<Violations<Required<contract.InitOptions>, Required<actual.InitOptions>>>();
isEmpty<Violations<Required<contract.LayerOptions>, Required<actual.LayerOptions>>>();
isTrue<OwnMembers<contract.AttentionOptions> extends actual.AttentionOptions ? true : false>();

// Only the training flag of a layer is writable; all other members are read-only.
type Writable<T> = {
  [Key in keyof T]-?: Equal<{ [K in Key]: T[K] }, { -readonly [K in Key]: T[K] }> extends true ? Key : never;
}[keyof T];
type WritableMembers<T> = {
  [Key in Writable<T>]: T[Key] extends (...args: never[]) => unknown ? never : Key;
}[Writable<T>];
isTrue<Equal<WritableMembers<actual.DiffusionCrossAttention>, 'training'>>();
isTrue<Equal<WritableMembers<actual.Tensor>, never>>();

// The package has every export of the contract.
isTrue<Exclude<keyof typeof contract, keyof typeof actual> extends never ? true : false>();
