// Calls of the whole public surface with hostile values, for fast-check: in arguments, in fields of options,
// in elements of arrays, as getters of options, and as `this`.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { checkCall, SlowCall } from './call_checker.mjs';
import { actors, hostileNames, makeHostile, objects, primitives } from './hostile_values.mjs';
import { surface } from './surface.mjs';
import { isDisposed, World } from './surface_world.mjs';

const described = await (async () => {
  const world = await World.create();
  const members = surface(world);
  for (const object of world.live) release(object);
  return new Map(members.map((member) => [member.id, member]));
})();
const ids = [...described.keys()];

function release(object) {
  if (typeof object.dispose === 'function') object.dispose();
  else object.close();
}

/** How an argument differs from a valid one. `at` chooses a field or an element, `isDeep` a part of that. */
const change = fc.record({
  how: fc.oneof(
    { weight: 5, arbitrary: fc.constant('none') },
    { weight: 3, arbitrary: fc.constant('value') },
    { weight: 4, arbitrary: fc.constant('part') },
    { weight: 1, arbitrary: fc.constantFrom('getter', 'missing') },
  ),
  name: fc.constantFrom(...hostileNames),
  at: fc.nat(11),
  isDeep: fc.boolean(),
  pick: fc.nat(31),
});

const call = fc.record({
  id: fc.constantFrom(...ids),
  receiver: fc.oneof(
    { weight: 9, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constantFrom(...hostileNames) },
  ),
  changes: fc.array(change, { minLength: 0, maxLength: 4 }),
  isAwaited: fc.boolean(),
});

/** Programs of some calls on the same objects. */
export const programs = fc.array(call, { minLength: 1, maxLength: 4 });

const unchanged = { how: 'none', name: 'undefined', at: 0, isDeep: false, pick: 0 };

/** Returns a value for a parameter. */
function makeArgument(kind, world, edit, context) {
  const { how, name, at, isDeep, pick } = edit;
  const hostile = () => makeHostile(name, { ...context, pick });
  if (how === 'missing') return undefined;
  if (how === 'value') return hostile();
  const inner = { ...edit, isDeep: false, how: how === 'getter' ? how : isDeep ? 'part' : 'value' };
  const isPart = how === 'part' || how === 'getter';
  if (kind.also !== undefined && how === 'none' && pick % 4 === 3)
    return makeArgument(kind.also[0], world, edit);
  if (kind.fields !== undefined) {
    const names = Object.keys(kind.fields);
    const changed = isPart ? names[at % names.length] : undefined;
    const object = {};
    names.forEach((field, index) => {
      const isGiven = kind.required.includes(field) || field === changed || (pick >> (index % 5)) % 2 === 1;
      if (!isGiven) return;
      const make = (edits) => makeArgument(kind.fields[field], world, edits, context);
      if (field !== changed) object[field] = make({ ...unchanged, pick });
      else if (how === 'part') object[field] = make(inner);
      else {
        // A getter that acts, and returns another value every time.
        let reads = 0;
        const get = () => {
          if (Object.hasOwn(actors, name)) world.live.forEach(release);
          return ++reads % 2 === 1 ? make({ ...unchanged, pick }) : hostile();
        };
        Object.defineProperty(object, field, { enumerable: true, get });
      }
    });
    return object;
  }
  if (kind.elements !== undefined) {
    const values = kind.elements.map((element, index) =>
      makeArgument(
        element,
        world,
        isPart && index === at % kind.elements.length ? inner : { ...unchanged, pick },
        context,
      ),
    );
    return values;
  }
  return isPart ? hostile() : kind.make(world, pick);
}

/** Uses the package, as a getter of options may. */
function act(world) {
  const layer = world.get('layer');
  if (isDisposed(layer)) return;
  world.own(layer.forward(world.get('input')));
  world.get('denoiser').save();
}

/** Calls a member as a program says. Returns what checkCall does. */
function makeCall(world, { id, receiver, changes }) {
  const { kind, owner, key, parameters, receiver: receiverKey } = described.get(id);
  const context = { live: world.live, act: () => act(world), pick: 0 };
  const values = parameters.map((parameter, index) =>
    makeArgument(parameter, world, changes[index] ?? unchanged, context),
  );
  let target = receiverKey === null ? owner : world.get(receiverKey);
  if (receiver !== null && receiverKey !== null) target = makeHostile(receiver, context);
  const property = Object.getOwnPropertyDescriptor(owner, key);
  // Reflect calls no code of the receiver itself.
  const perform = {
    new: () => new owner[key](...values),
    get: () => Reflect.apply(property.get, target, []),
    set: () => Reflect.apply(property.set, target, values),
    call: () => Reflect.apply(property?.value ?? owner[key], owner, values),
    method: () => Reflect.apply(property.value, target, values),
  }[kind];
  const shown = changes.map(({ how, name }) => (how === 'none' ? '-' : name)).join(', ');
  // It saves the training before it looks for a device.
  return checkCall(`${id}(${shown})`, perform, { isWork: id === 'denoiser.Trainer#onWebGPU' });
}

/** Owns all objects of a result, which the caller must dispose. An error may refer to hostile values. */
function ownResult(world, result, depth = 0) {
  const isObject = typeof result === 'object' && result !== null;
  if (!isObject || result instanceof Error || ArrayBuffer.isView(result)) return;
  if (typeof (result.dispose ?? result.close) === 'function') world.own(result);
  else if (depth < 2) for (const value of Object.values(result)) ownResult(world, value, depth + 1);
}

async function runOnce(program) {
  const world = await World.create();
  const pending = [];
  try {
    for (const each of program) {
      const outcome = makeCall(world, each).then(({ result }) => ownResult(world, result));
      outcome.catch(() => {});
      pending.push(outcome);
      if (each.isAwaited) await outcome;
    }
    await Promise.all(pending);
  } finally {
    await Promise.allSettled(pending);
    for (const object of world.live.toReversed()) await checkCall('dispose', () => release(object));
  }
  assert.equal(World.memoryInUse(), 0, 'memory stays in use');
}

/** Runs a program and checks all its calls. */
export async function checkProgram(program) {
  for (let attempt = 1; ; ++attempt) {
    try {
      return await runOnce(program);
    } catch (error) {
      if (!(error instanceof SlowCall) || attempt === 5) throw error;
    }
  }
}

/** Returns the changes that replace a whole argument, each of its fields, and each of its elements. */
function placesOf({ fields = {}, elements = [] }) {
  const parts = Math.max(Object.keys(fields).length, elements.length);
  const change = (how, at) => ({ ...unchanged, how, at, pick: 31 });
  return [change('value', 0), ...Array.from({ length: parts }, (_, at) => change('part', at))];
}

/**
 * Calls a member with every value of hostile_values.mjs, except for those that act, in each place of each
 * argument, and as `this`; or with one in `share` of them. Returns the number of calls.
 */
export async function checkMember(id, share = 1) {
  const { parameters, receiver } = described.get(id);
  const names = [...Object.keys(primitives), ...Object.keys(objects)];
  const places = parameters.flatMap((parameter, index) =>
    placesOf(parameter).map((change) => [...Array.from({ length: index }, () => unchanged), change]),
  );
  const all = names.flatMap((name) => [
    ...places.map((changes) => ({ receiver: null, changes: changes.with(-1, { ...changes.at(-1), name }) })),
    ...(receiver === null ? [] : [{ receiver: name, changes: [] }]),
  ]);
  // Another part of the values for each member.
  const calls = all.filter((_, index) => (index + id.length) % share === 0);
  for (let first = 0; first < calls.length; first += callsPerWorld) {
    await checkProgram(
      calls.slice(first, first + callsPerWorld).map((call) => ({ ...call, id, isAwaited: true })),
    );
  }
  return calls.length;
}
const callsPerWorld = 40;

/** The ids of all members. */
export const memberIds = ids;
