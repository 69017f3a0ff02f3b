/** Longer than a line: opens where somebody wants to read it, so that nothing moves by itself. */
const LINE = 46;

/** Why something was not measured. */
export function reasonOf(reason: string): HTMLElement {
  const text = `not measured: ${reason}`;
  if (text.length <= LINE) {
    const line = document.createElement('span');
    line.textContent = text;
    return line;
  }
  const details = document.createElement('details');
  const summary = document.createElement('summary');
  summary.textContent = text;
  details.append(summary);
  return details;
}
