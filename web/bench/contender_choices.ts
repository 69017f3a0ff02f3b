/** Whom a visitor can have measured: this package, and the peers that run in a page. */
import { entryOf, peers } from '../../bench/contenders.mjs';

export interface ContenderChoice {
  readonly id: string;
  readonly label: string;
  /** As in bench/contenders.mjs. */
  readonly name: string;
  readonly options: { readonly simd?: string; readonly graph?: string };
  /** Whether it is this package. */
  readonly isOurs: boolean;
  /** What is downloaded for it, in bytes, beside what the page itself needs; a browser test measures it. */
  readonly download: number;
}

/** Those of one name share their download. */
const DOWNLOADS: Record<string, number> = {
  cross_attention: 330_000,
  onnxruntime_web: 14_400_000,
  tensorflow: 1_000_000,
  jax: 160_000,
};

const downloadOf = (name: string): number => DOWNLOADS[name] ?? 0;

const ours = (simd: 'relaxed' | 'baseline'): ContenderChoice => ({
  id: simd,
  label: `This package, ${simd} SIMD`,
  name: 'cross_attention',
  options: { simd },
  isOurs: true,
  download: downloadOf('cross_attention'),
});

/** Ours first: the others' results are compared with them. */
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

/** What all of these download together. */
export function downloadOfAll(choices: readonly ContenderChoice[]): number {
  const names = new Set(choices.map(({ name }) => name));
  return [...names].reduce((sum, name) => sum + downloadOf(name), 0);
}
