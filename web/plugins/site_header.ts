/**
 * The header of all pages, written once: `<!-- site header -->` in a page becomes it. Done while the page is served or
 * built, so that it is there before any script runs.
 */
import type { Plugin } from 'vite';

const PAGES = [
  { path: 'create/', title: 'Text to image' },
  { path: 'paint/', title: 'Paint by attention' },
  { path: 'bench.html', title: 'Benchmark' },
] as const;

const PLACE = '<!-- site header -->';

export const siteHeader: Plugin = {
  name: 'site-header',
  transformIndexHtml: {
    order: 'pre',
    handler: (html, { path }) => html.replace(PLACE, headerOf(path.slice(1).replace(/index\.html$/, ''))),
  },
};

/** From a page to the site's root. */
export function wayToRoot(path: string): string {
  return '../'.repeat(path.split('/').length - 1) || './';
}

function headerOf(path: string): string {
  const links = PAGES.map(({ path: other, title }) =>
    other === path
      ? `<a href="./${other.split('/').at(-1)}" aria-current="page">${title}</a>`
      : `<a href="${wayToRoot(path)}${other}">${title}</a>`,
  );
  return `<header class="site-header">
      <p class="wordmark">diffusion-cross-attention</p>
      <nav class="site-pages" aria-label="Pages">${links.join('\n')}</nav>
      <button type="button" id="theme" class="icon-button">
        <svg viewBox="0 0 20 20" aria-hidden="true">
          <circle cx="10" cy="10" r="7.25" fill="none" stroke="currentColor" stroke-width="1.5" />
          <path d="M10 2.75a7.25 7.25 0 0 1 0 14.5z" fill="currentColor" />
        </svg>
      </button>
    </header>`;
}
