// Options that are lists.

/** The parts of an option, separated by commas, each of which `allowed` must know. */
export function partsOf(given, option, allowed) {
  const parts = given[option].split(',').filter((part) => part !== '');
  const unknown = parts.find((part) => !allowed.includes(part));
  if (unknown !== undefined)
    throw new Error(`--${option} ${unknown}: it takes some of ${allowed.join(', ')}`);
  return parts;
}
