// A template language for WGSL whose text depends on sizes or on which bindings there are. WGSL can't declare
// a number of variables that a constant states, and only separate variables are sure to become registers.
// Everything else is an override constant. One directive a line:
//
//   #for name in FIRST..END   repeats the lines up to #end for each integer of [FIRST, END)
//   #if name                  keeps the lines up to #else or #end if the value is true
//   #if name == VALUE         … if the value is VALUE; != if it is not
//   #else
//   #end
//   ${name}                   anywhere else: the value
//
// FIRST and END are integers or names.

export type TemplateValue = number | boolean | string;
export type TemplateValues = Readonly<Record<string, TemplateValue>>;

interface Loop {
  readonly kind: 'for';
  readonly variable: string;
  readonly first: string;
  readonly end: string;
  readonly body: readonly Part[];
}

interface Condition {
  readonly kind: 'if';
  readonly name: string;
  readonly equals: boolean;
  readonly expected: string;
  readonly body: readonly Part[];
  readonly otherwise: readonly Part[];
}

type Part = string | Loop | Condition;

/**
 * Removes the lines of a block from `lines`, up to one of the directives `ends`; returns that directive too.
 */
function parseBlock(lines: string[], ends: readonly string[]): { parts: Part[]; end: string } {
  const parts: Part[] = [];
  for (;;) {
    const line = lines.shift();
    const directive = line?.trim();
    if (directive === undefined) {
      if (ends.includes('')) return { parts, end: '' };
      throw new Error(`the template ends; expected ${ends.join(' or ')}`);
    }
    if (ends.includes(directive) && directive !== '') return { parts, end: directive };
    parts.push(directive.startsWith('#') ? parseDirective(directive, lines) : line!);
  }
}

function parseDirective(directive: string, lines: string[]): Part {
  const loop = /^#for (\w+) in (\w+)\.\.(\w+)$/.exec(directive);
  if (loop !== null) {
    const [, variable, first, end] = loop as unknown as [string, string, string, string];
    return { kind: 'for', variable, first, end, body: parseBlock(lines, ['#end']).parts };
  }
  const condition = /^#if (\w+)(?: (==|!=) (\w+))?$/.exec(directive);
  if (condition === null) {
    throw new Error(`the template has the line '${directive}'; expected #for, #if, #else or #end`);
  }
  const { parts: body, end } = parseBlock(lines, ['#else', '#end']);
  const otherwise = end === '#else' ? parseBlock(lines, ['#end']).parts : [];
  const [, name, operator, expected = 'true'] = condition;
  return { kind: 'if', name: name!, equals: operator !== '!=', expected, body, otherwise };
}

function valueOf(name: string, values: TemplateValues): TemplateValue {
  const value = /^\d+$/.test(name) ? Number(name) : values[name];
  if (value === undefined) throw new Error(`the template uses '${name}'; expected a value of that name`);
  return value;
}

const substitute = (line: string, values: TemplateValues): string =>
  line.replace(/\$\{(\w+)\}/g, (_, name: string) => String(valueOf(name, values)));

function render(parts: readonly Part[], values: TemplateValues): string[] {
  return parts.flatMap((part) => {
    if (typeof part === 'string') return [substitute(part, values)];
    if (part.kind === 'if') {
      const isEqual = String(valueOf(part.name, values)) === part.expected;
      return render(isEqual === part.equals ? part.body : part.otherwise, values);
    }
    const [first, end] = [Number(valueOf(part.first, values)), Number(valueOf(part.end, values))];
    const lines: string[] = [];
    for (let index = first; index < end; ++index) {
      lines.push(...render(part.body, { ...values, [part.variable]: index }));
    }
    return lines;
  });
}

/**
 * Returns the text of a template with these values. Throws an Error if the template is malformed or lacks a
 * value.
 */
export function expandTemplate(template: string, values: TemplateValues): string {
  return render(parseBlock(template.split('\n'), ['']).parts, values).join('\n');
}
