/** Compiles a .wasm file in a data URL. Not by fetch, which the page's Content-Security-Policy may forbid. */
export function compileEmbedded(dataUrl: string): Promise<WebAssembly.Module> {
  const binary = atob(dataUrl.slice(dataUrl.indexOf(',') + 1));
  return WebAssembly.compile(Uint8Array.from(binary, (character) => character.charCodeAt(0)));
}
