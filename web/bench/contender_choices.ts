/** The contenders that a visitor can choose: this package, and the peers that run in a page. */
import { entryOf, peers } from '../../bench/contenders.mjs';

export interface ContenderChoice {
  readonly id: string;
  readonly label: string;
  /** The name in bench/contenders.mjs. */
  readonly name: string;
  readonly options: { readonly simd?: string; readonly graph?: string };
  /** True if it is this package. */
  readonly isOurs: boolean;
  /** Size of its download in bytes, without what the page itself needs. A browser test checks it. */
  readonly download: number;
}

/** By name. Contenders of the same name share their download. */
const downloadBytes: Record<string, number> = {
  cross_attention: 350_000,
  onnxruntime_web: 14_400_000,
  tensorflow: 1_000_000,
  jax: 270_000,
};

const downloadOf = (name: string): number => downloadBytes[name] ?? 0;

const ours = (simd: 'relaxed' | 'baseline'): ContenderChoice => ({
  id: simd,
  label: `This package, ${simd} SIMD`,
  name: 'cross_attention',
  options: { simd },
  isOurs: true,
  download: downloadOf('cross_attention'),
});

/** This package comes first, because the results of the others are compared with it. */
export const contenderChoices: readonly ContenderChoice[] = [
  ours('relaxed'),
  ours('baseline'),
  ...Object.entries(peers).map(([id, peer]) => ({
    id,
    ...peer,
    isOurs: false,
    download: downloadOf(peer.name),
  })),
];

export const titleOf = ({ label, name, options }: ContenderChoice, threads: number): string =>
  entryOf(label, name, { ...options, threads }).title;

/** Returns the size of all downloads of these contenders, in bytes. */
export function downloadOfAll(choices: readonly ContenderChoice[]): number {
  const names = new Set(choices.map(({ name }) => name));
  return [...names].reduce((sum, name) => sum + downloadOf(name), 0);
}
