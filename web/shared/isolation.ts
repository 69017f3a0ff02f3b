/** Describes for visitors whether the page is cross-origin isolated, and what that means for threads. */
export function isolationText(isolated: boolean): string {
  if (isolated) return 'cross-origin isolated, so threads can share memory';
  if (!window.isSecureContext)
    return 'not isolated, because the page came neither over HTTPS nor from this machine; one thread only';
  return (
    'not isolated: the server did not send the headers Cross-Origin-Opener-Policy: same-origin and ' +
    'Cross-Origin-Embedder-Policy: require-corp; one thread only'
  );
}
