// Telling a person what is being done, and how long it took.
const colours = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (code) => (text) => (colours ? `\x1b[${code}m${text}\x1b[0m` : text);
export const bold = paint(1);
export const green = paint(32);
export const red = paint(31);
export const grey = paint(90);

const seconds = (start) => `${((performance.now() - start) / 1000).toFixed(1)} s`;

/** Something that is missing and that only the person can get. Its message is all that needs to be shown. */
export class SetUpError extends Error {}

/** Shows a line of a running program, on a terminal only; the next line replaces it. */
export function showProgress(line) {
  if (!process.stdout.isTTY || line.trim() === '') return;
  process.stdout.write(`\r\x1b[K  ${grey(line.trim().slice(0, (process.stdout.columns ?? 80) - 4))}`);
}
const clearProgress = () => process.stdout.isTTY && process.stdout.write('\r\x1b[K');

/** Announces `title`, does `work`, prints how long it took. `work` may return a remark, which is printed. */
export async function step(title, work) {
  const start = performance.now();
  console.log(`${bold('•')} ${title} …`);
  const remark = await Promise.resolve(work()).finally(clearProgress);
  const said = typeof remark === 'string' && remark !== '' ? `: ${remark}` : '';
  console.log(`${green('✓')} ${title}${said} ${grey(seconds(start))}`);
  return remark;
}

/** Runs a tool's main function: an error ends the process with its message, without a stack where that tells nothing. */
export async function main(work) {
  try {
    await work();
  } catch (error) {
    console.error(`\n${red('✗')} ${error instanceof SetUpError ? error.message : error.stack}`);
    process.exitCode = 1;
  }
}
