// Words as features, as src/operators/embedding.
import { assign, type ElementKernel, orAdds } from '../kernels';
import { sizeOf, type Tape, type Value } from '../tape';
import { sumShared } from './sums';

const lookUp: ElementKernel = {
  label: 'embedding',
  numbers: ['features'],
  buffers: [
    ['ids', 'read', 'u32'],
    ['table', 'read'],
    ['y', 'write'],
  ],
  body: 'y[i] = table[ids[i / p.features] * p.features + i % p.features];',
};

/** Each entry looks for its words: no two invocations add to one number. */
const lookUpBackward = (adds: boolean): ElementKernel => ({
  label: `embedding, backward${orAdds(adds)}`,
  numbers: ['features', 'words'],
  buffers: [
    ['ids', 'read', 'u32'],
    ['slope', 'read'],
    ['gradient', 'write'],
  ],
  body: `var sum = 0.0;
for (var word = 0u; word < p.words; word++) {
  if (ids[word] == i / p.features) { sum += slope[word * p.features + i % p.features]; }
}
${assign('gradient[i]', 'sum', adds)}`,
});

/** ids: [batch, length], whole numbers; table: [entries, features]; positions: [length, features]. */
export function embed(tape: Tape, ids: Value, table: Value, positions: Value): Value {
  const features = table.shape[1]!;
  const [batch, length] = ids.shape as [number, number];
  const words = tape.value('words', [batch, length, features]);
  tape.forElements(lookUp, sizeOf(words), { features }, [ids.binding, table.binding, words.binding]);
  tape.onBackward(() => {
    const slope = tape.slope(words);
    const target = tape.target(table);
    if (target === null) return;
    const numbers = { features, words: batch * length };
    tape.forElements(lookUpBackward(target.adds), sizeOf(table), numbers, [
      ids.binding,
      slope,
      target.binding,
    ]);
  });
  return sumShared(tape, words, positions);
}
