// Rates with confidence intervals.
import { adheres } from './analyser/index.mjs';

/**
 * Returns how many elements of `all` satisfy `holds`, as { count, of, share, low, high }. `low` and `high`
 * are the bounds of Wilson's 95 % interval ("Probable inference, the law of succession, and statistical
 * inference", 1927). `share` is null if `all` is empty.
 */
export function rateOf(all, holds) {
  const of = all.length;
  const count = all.filter(holds).length;
  if (of === 0) return { count, of, share: null, low: null, high: null };
  const share = count / of;
  const z = 1.959964;
  const middle = (share + (z * z) / (2 * of)) / (1 + (z * z) / of);
  const half = (z / (1 + (z * z) / of)) * Math.sqrt((share * (1 - share)) / of + (z * z) / (4 * of * of));
  return { count, of, share, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

const pointsOf = (records) => records.flatMap(({ pointing }) => pointing);

/**
 * `records`: the record of each prompt, as run.mjs builds it. `unconditional`: the objects found in pictures
 * without a prompt. Returns the figures by split ('training', 'heldOut'). Each is a rate or, if all pairs are
 * counted, { pairs, share }.
 */
export function figuresOf(records, unconditional) {
  const splits = {};
  for (const split of ['training', 'heldOut']) {
    splits[split] = figuresOfSplit(
      records.filter((record) => record.split === split),
      unconditional,
    );
  }
  return { splits, pointing: rateOf(pointsOf(records), ({ hit }) => hit) };
}

function figuresOfSplit(records, unconditional) {
  const judged = records.map(({ judgement }) => judgement);
  const relations = judged.flatMap((judgement) => judgement.relations);
  const sizes = judged.flatMap((judgement) => judgement.sizes);
  const backgrounds = judged.flatMap(({ background }) => (background === null ? [] : [background]));
  const holds = (result) => result.holds;
  return {
    adherence: rateOf(judged, ({ ok }) => ok),
    byObjects: groupRates(
      records,
      ({ scene }) => scene.objects.length,
      ({ judgement }) => judgement.ok,
    ),
    byRelation: groupRates(relations, ({ relation }) => relation, holds),
    colours: rateOf(judged, ({ coloursOk }) => coloursOk),
    shapes: rateOf(judged, ({ shapesOk }) => shapesOk),
    sizes: rateOf(sizes, holds),
    backgrounds: rateOf(backgrounds, holds),
    pointing: rateOf(pointsOf(records), ({ hit }) => hit),
    chance: chanceOf(records),
    unconditional: pairShare(unconditional, records),
  };
}

function groupRates(all, keyOf, holds) {
  const groups = groupBy(all, keyOf);
  return Object.fromEntries([...groups].sort().map(([key, group]) => [key, rateOf(group, holds)]));
}

/** Replaces Map.groupBy, which Node 20 does not have. */
function groupBy(all, keyOf) {
  const groups = new Map();
  for (const item of all) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}

/**
 * Returns the rate at which a picture matches another prompt by chance: the mean over all pairs of a picture
 * and the prompt of another picture. It is the expected value for shuffled prompts.
 */
function chanceOf(records) {
  let ok = 0;
  for (const { found } of records) for (const { scene } of records) ok += adheres(found, scene).ok ? 1 : 0;
  // The loops include the picture's own prompt.
  const own = records.filter(({ judgement }) => judgement.ok).length;
  const pairs = records.length * (records.length - 1);
  return { pairs, share: pairs > 0 ? (ok - own) / pairs : null };
}

/** Returns the rate at which pictures generated without a prompt match the prompts of the records. */
function pairShare(unconditional, records) {
  let ok = 0;
  for (const found of unconditional) for (const { scene } of records) ok += adheres(found, scene).ok ? 1 : 0;
  const pairs = unconditional.length * records.length;
  return { pairs, share: pairs > 0 ? ok / pairs : null };
}
