/** Exports charts of the page as a standalone SVG file. */
export interface Panel {
  readonly title: string;
  readonly svg: SVGSVGElement;
}

const svgNamespace = 'http://www.w3.org/2000/svg';
const margin = 20;
const titleHeight = 30;
/** Colours in charts: custom properties of the style sheet with a fallback. */
const colourVariables = /var\((--[\w-]+)[^()]*\)/g;

/** Returns the panels, one below the other, with the fonts and colours that they have inside `container`. */
export function standaloneSvg(panels: readonly Panel[], container: HTMLElement): string {
  const file = document.createElementNS(svgNamespace, 'svg');
  let y = margin;
  for (const { title, svg } of panels) {
    const heading = document.createElementNS(svgNamespace, 'text');
    set(heading, {
      x: margin,
      y: y + titleHeight / 2,
      'font-size': 15,
      'font-weight': 600,
      fill: 'currentColor',
    });
    heading.textContent = title;
    const chart = svg.cloneNode(true) as SVGSVGElement;
    set(chart, { x: margin, y: y + titleHeight });
    file.append(heading, chart);
    y += titleHeight + sizeOf(svg).height + margin;
  }
  const width = Math.max(0, ...panels.map(({ svg }) => sizeOf(svg).width)) + 2 * margin;
  set(file, { width, height: y, viewBox: `0 0 ${width} ${y}` });
  const style = getComputedStyle(container);
  file.style.color = style.color;
  file.style.fontFamily = style.fontFamily;
  file.style.background = backgroundOf(container);
  return new XMLSerializer()
    .serializeToString(file)
    .replace(colourVariables, (whole, name: string) => colourOf(name, container) ?? whole);
}

function sizeOf(svg: SVGSVGElement): { width: number; height: number } {
  return { width: svg.width.baseVal.value, height: svg.height.baseVal.value };
}

function set(target: SVGElement, attributes: Record<string, string | number>): void {
  for (const [name, value] of Object.entries(attributes)) target.setAttribute(name, String(value));
}

/** Returns the colour of a custom property inside `container`; undefined if it is not defined. */
function colourOf(name: string, container: HTMLElement): string | undefined {
  if (getComputedStyle(container).getPropertyValue(name) === '') return undefined;
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  container.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** Returns the first background colour behind `container` that is not transparent. */
function backgroundOf(container: HTMLElement | null): string {
  if (!container) return 'white';
  const { backgroundColor } = getComputedStyle(container);
  return /^rgba\(.*, 0\)$/.test(backgroundColor) ? backgroundOf(container.parentElement) : backgroundColor;
}
