// Shares of what was judged, with how sure they are.
import { adheres } from './analyser/index.mjs';

/**
 * How many of `all` satisfy `holds`: { count, of, share, low, high }, low and high being the 95 % interval of Wilson
 * ("Probable inference, the law of succession, and statistical inference", 1927). `share` is null where there are none.
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
 * `records`: what run.mjs makes of each prompt. `unconditional`: what was found in pictures without a prompt.
 * Returns the figures, by split ('training', 'heldOut'), each of them a rate or, where all pairs are counted, a share.
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
  const holds = (one) => one.holds;
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

/** Map.groupBy, which Node 20 has not. */
function groupBy(all, keyOf) {
  const groups = new Map();
  for (const one of all) groups.set(keyOf(one), [...(groups.get(keyOf(one)) ?? []), one]);
  return groups;
}

/**
 * How often a picture happens to be right for another prompt: the mean over all pairs of a picture and the prompt of
 * another one, which is what shuffled prompts would give in the long run.
 */
function chanceOf(records) {
  let ok = 0;
  for (const { found } of records) for (const { scene } of records) ok += adheres(found, scene).ok ? 1 : 0;
  // Each picture's own prompt was among them.
  const own = records.filter(({ judgement }) => judgement.ok).length;
  const pairs = records.length * (records.length - 1);
  return { pairs, share: pairs > 0 ? (ok - own) / pairs : null };
}

/** How often a picture that was made without a prompt is right for one of the records' prompts. */
function pairShare(unconditional, records) {
  let ok = 0;
  for (const found of unconditional) for (const { scene } of records) ok += adheres(found, scene).ok ? 1 : 0;
  const pairs = unconditional.length * records.length;
  return { pairs, share: pairs > 0 ? ok / pairs : null };
}
