/** What a page's isolation means for threads, for visitors. */
export function isolationText(isolated: boolean): string {
  if (isolated) return 'cross-origin isolated, so memory can be shared between threads';
  if (!window.isSecureContext)
    return 'none, because the page came neither over HTTPS nor from this machine; one thread only';
  return (
    'none: the server did not send the headers Cross-Origin-Opener-Policy: same-origin and ' +
    'Cross-Origin-Embedder-Policy: require-corp; one thread only'
  );
}
