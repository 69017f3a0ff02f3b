/** Reasons that are longer than a line are collapsed, so that the layout does not shift. */
const maxLineLength = 46;

/** Returns an element with the reason why something was not measured. */
export function reasonElement(reason: string): HTMLElement {
  const text = `not measured: ${reason}`;
  if (text.length <= maxLineLength) {
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
