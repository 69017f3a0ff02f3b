/** Charts of the page as one SVG file that stands by itself. */
export interface Panel {
  readonly title: string;
  readonly svg: SVGSVGElement;
}

const NAMESPACE = 'http://www.w3.org/2000/svg';
const MARGIN = 20;
const TITLE_HEIGHT = 30;
/** What the colours of charts are called in the style sheet, with what they are without one. */
const VARIABLES = /var\((--[\w-]+)[^()]*\)/g;

/** One below the other, with the type and the colours that they have at `place`. */
export function standAlone(panels: readonly Panel[], place: HTMLElement): string {
  const file = document.createElementNS(NAMESPACE, 'svg');
  let y = MARGIN;
  for (const { title, svg } of panels) {
    const heading = document.createElementNS(NAMESPACE, 'text');
    set(heading, {
      x: MARGIN,
      y: y + TITLE_HEIGHT / 2,
      'font-size': 15,
      'font-weight': 600,
      fill: 'currentColor',
    });
    heading.textContent = title;
    const chart = svg.cloneNode(true) as SVGSVGElement;
    set(chart, { x: MARGIN, y: y + TITLE_HEIGHT });
    file.append(heading, chart);
    y += TITLE_HEIGHT + sizeOf(svg).height + MARGIN;
  }
  const width = Math.max(0, ...panels.map(({ svg }) => sizeOf(svg).width)) + 2 * MARGIN;
  set(file, { width, height: y, viewBox: `0 0 ${width} ${y}` });
  const style = getComputedStyle(place);
  file.style.color = style.color;
  file.style.fontFamily = style.fontFamily;
  file.style.background = groundOf(place);
  return new XMLSerializer()
    .serializeToString(file)
    .replace(VARIABLES, (whole, name: string) => colourOf(name, place) ?? whole);
}

function sizeOf(svg: SVGSVGElement): { width: number; height: number } {
  return { width: svg.width.baseVal.value, height: svg.height.baseVal.value };
}

function set(target: SVGElement, attributes: Record<string, string | number>): void {
  for (const [name, value] of Object.entries(attributes)) target.setAttribute(name, String(value));
}

/** What a variable comes to at a place, whatever it is made of there; undefined where there is none. */
function colourOf(name: string, place: HTMLElement): string | undefined {
  if (getComputedStyle(place).getPropertyValue(name) === '') return undefined;
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  place.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** The first ground behind a place that can be seen. */
function groundOf(place: HTMLElement | null): string {
  if (!place) return 'white';
  const { backgroundColor } = getComputedStyle(place);
  return /^rgba\(.*, 0\)$/.test(backgroundColor) ? groundOf(place.parentElement) : backgroundColor;
}
