/** The colour theme: light, dark, or the setting of the system. Saved between visits. */
type Theme = 'system' | 'light' | 'dark';

const themes: readonly Theme[] = ['system', 'light', 'dark'];
const storageKey = 'theme';
const themeChangeEvent = 'themechange';

export function setUpThemeButton(button: HTMLButtonElement): void {
  let theme = savedTheme();
  const apply = (): void => {
    if (theme === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = theme;
    button.dataset['theme'] = theme;
    button.setAttribute('aria-label', `Theme: ${theme}`);
    button.title = button.getAttribute('aria-label')!;
    document.dispatchEvent(new Event(themeChangeEvent));
  };
  button.addEventListener('click', () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length]!;
    saveTheme(theme);
    apply();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', apply);
  apply();
}

/** Calls `redraw` after the theme changed, for what scripts draw without the style sheet. */
export function onThemeChange(redraw: () => void): void {
  document.addEventListener(themeChangeEvent, redraw);
}

/** Returns the colour of a custom property of the style sheet in the current theme. */
export function themeColour(property: string): string {
  const probe = document.createElement('span');
  probe.style.color = `var(${property})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

function savedTheme(): Theme {
  try {
    const stored = localStorage.getItem(storageKey);
    return themes.find((theme) => theme === stored) ?? 'system';
  } catch {
    return 'system'; // The browser blocks storage.
  }
}

function saveTheme(theme: Theme): void {
  try {
    localStorage.setItem(storageKey, theme);
  } catch {
    // The browser blocks storage: the theme lasts for this visit only.
  }
}
