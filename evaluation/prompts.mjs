// Chooses the prompts by which a model is judged: plain captions of random scenes.

// Numbers of objects, used in turn. Single objects are never held out.
const objectCounts = { training: [1, 2, 2, 3], heldOut: [2, 2, 3] };

/**
 * Returns `count` / 2 scenes of each split, { split, seed, prompt, scene }. The splits alternate, so every
 * prefix of the list is balanced. Within a split no prompt repeats unless 100 draws find no new one.
 */
export function choosePrompts(randomScene, count, seed) {
  const prompts = [];
  const used = { training: new Set(), heldOut: new Set() };
  // Different from the seeds of the analyser's test.
  let nextSeed = seed + 1_000_000;
  for (let index = 0; index < count; ++index) {
    const split = index % 2 === 0 ? 'training' : 'heldOut';
    const counts = objectCounts[split];
    const objects = counts[(index >> 1) % counts.length];
    let scene = randomScene({ seed: nextSeed++, split, objects });
    for (let draw = 1; draw < 100 && used[split].has(scene.plainCaption); ++draw) {
      scene = randomScene({ seed: nextSeed++, split, objects });
    }
    used[split].add(scene.plainCaption);
    prompts.push({ split, seed: seed + index, prompt: scene.plainCaption, scene });
  }
  return prompts;
}
