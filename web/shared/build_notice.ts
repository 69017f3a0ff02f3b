/**
 * In development only: shows at the top of the page that a part of the site is still being built.
 * tools/lib/pending_builds.mjs adds this script to every page and sends the events.
 */
interface PendingBuild {
  readonly title: string;
  readonly state: 'building' | 'ready' | 'failed';
}

const texts = {
  building: (title: string) => `Building ${title}. The page continues when it is ready.`,
  failed: (title: string) => `The build of ${title} failed. The terminal with npm start shows the reason.`,
};

const notices = new Map<string, HTMLElement>();

function show({ title, state }: PendingBuild): void {
  let notice = notices.get(title);
  if (state === 'ready') {
    notice?.remove();
    notices.delete(title);
    return;
  }
  if (notice === undefined) {
    notice = document.createElement('p');
    notice.className = 'build-notice';
    notice.style.cssText =
      'margin: 0; padding: 0.5rem 1rem; background: var(--accent); color: var(--on-accent)';
    notice.role = 'status';
    notices.set(title, notice);
    document.body.prepend(notice);
  }
  notice.textContent = texts[state](title);
}

import.meta.hot?.on('pending-build', show);
