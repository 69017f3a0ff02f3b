// Prints the steps of a command and their durations.
const colours = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (code) => (text) => (colours ? `\x1b[${code}m${text}\x1b[0m` : text);
export const bold = paint(1);
export const green = paint(32);
export const red = paint(31);
export const grey = paint(90);

const seconds = (start) => `${((performance.now() - start) / 1000).toFixed(1)} s`;

/** A requirement is missing, or a check failed. It is printed without a stack. */
export class SetUpError extends Error {}

/** Shows a line of progress on a terminal; the next one replaces it. */
export function showProgress(line) {
  if (!process.stdout.isTTY || line.trim() === '') return;
  process.stdout.write(`\r\x1b[K  ${grey(line.trim().slice(0, (process.stdout.columns ?? 80) - 4))}`);
}
const clearProgress = () => process.stdout.isTTY && process.stdout.write('\r\x1b[K');

/**
 * Prints `title`, calls `work`, then prints the duration and the text that `work` returns, if any. Returns
 * its result.
 */
export async function step(title, work) {
  const start = performance.now();
  console.log(`${bold('•')} ${title} …`);
  const result = await Promise.resolve(work()).finally(clearProgress);
  const detail = typeof result === 'string' && result !== '' ? `: ${result}` : '';
  console.log(`${green('✓')} ${title}${detail} ${grey(seconds(start))}`);
  return result;
}

/** Runs a tool's main function. If it throws, prints the error and sets exit code 1. */
export async function main(work) {
  try {
    await work();
  } catch (error) {
    console.error(`\n${red('✗')} ${error instanceof SetUpError ? error.message : error.stack}`);
    process.exitCode = 1;
  }
}
