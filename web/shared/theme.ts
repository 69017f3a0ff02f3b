/** Light, dark, or as the system has it; remembered between visits. */
type Theme = 'system' | 'light' | 'dark';

const THEMES: readonly Theme[] = ['system', 'light', 'dark'];
const STORAGE_KEY = 'theme';
const THEME_CHANGED = 'themechange';

export function setUpThemeButton(button: HTMLButtonElement): void {
  let theme = rememberedTheme();
  const apply = (): void => {
    if (theme === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = theme;
    button.dataset['theme'] = theme;
    button.setAttribute('aria-label', `Colours: ${theme === 'system' ? 'as the system has them' : theme}`);
    button.title = button.getAttribute('aria-label')!;
    document.dispatchEvent(new Event(THEME_CHANGED));
  };
  button.addEventListener('click', () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]!;
    remember(theme);
    apply();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', apply);
  apply();
}

/** For what is drawn by script and so does not follow the style sheet by itself. */
export function onThemeChange(redraw: () => void): void {
  document.addEventListener(THEME_CHANGED, redraw);
}

/** What a custom property of the style sheet comes to under the present theme. */
export function themeColour(property: string): string {
  const probe = document.createElement('span');
  probe.style.color = `var(${property})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

function rememberedTheme(): Theme {
  try {
    const stored = localStorage.getItem(STORAGE_KEY);
    return THEMES.find((theme) => theme === stored) ?? 'system';
  } catch {
    return 'system'; // Storage is blocked for this visitor.
  }
}

function remember(theme: Theme): void {
  try {
    localStorage.setItem(STORAGE_KEY, theme);
  } catch {
    // Then it lasts for this visit only.
  }
}
