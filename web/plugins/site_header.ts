/**
 * Replaces `<!-- site header -->` in every page by the header of the site. This happens while a page is
 * served or built, so that the header is visible before any script runs.
 */
import type { Plugin } from 'vite';

const pages = [
  { path: 'create/', title: 'Text to image' },
  { path: 'paint/', title: 'Paint by attention' },
  { path: 'bench.html', title: 'Benchmark' },
] as const;

const placeholder = '<!-- site header -->';

export const siteHeader: Plugin = {
  name: 'site-header',
  transformIndexHtml: {
    order: 'pre',
    handler: (html, { path }) =>
      html.replace(placeholder, headerOf(path.slice(1).replace(/index\.html$/, ''))),
  },
};

/** Returns the relative path from a page to the root of the site. */
export function pathToRoot(path: string): string {
  return '../'.repeat(path.split('/').length - 1) || './';
}

/** Returns the header for the page at `path`, relative to the root of the site. */
function headerOf(path: string): string {
  const links = pages.map(({ path: other, title }) =>
    other === path
      ? `<a href="./${other.split('/').at(-1)}" aria-current="page">${title}</a>`
      : `<a href="${pathToRoot(path)}${other}">${title}</a>`,
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
