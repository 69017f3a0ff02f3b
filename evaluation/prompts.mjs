// Prompts to judge a model by: the plain captions of random scenes.

// Numbers of objects, in turn. Single objects are never held out.
const objectsOf = { training: [1, 2, 2, 3], heldOut: [2, 2, 3] };

/**
 * `count` / 2 scenes of each split, { split, seed, prompt, scene }: the two splits in turn, so that any first part of the
 * list is a fair one. No prompt comes twice within a split, as far as a hundred draws for each can find new ones.
 */
export function choosePrompts(randomScene, count, seed) {
  const prompts = [];
  const said = { training: new Set(), heldOut: new Set() };
  // Away from the seeds of the analyser's proof.
  let next = seed + 1_000_000;
  for (let index = 0; index < count; ++index) {
    const split = index % 2 === 0 ? 'training' : 'heldOut';
    const numbers = objectsOf[split];
    const objects = numbers[(index >> 1) % numbers.length];
    let scene = randomScene({ seed: next++, split, objects });
    for (let draw = 1; draw < 100 && said[split].has(scene.plainCaption); ++draw) {
      scene = randomScene({ seed: next++, split, objects });
    }
    said[split].add(scene.plainCaption);
    prompts.push({ split, seed: seed + index, prompt: scene.plainCaption, scene });
  }
  return prompts;
}
