/** The text of a WGSL file; the build removes its comments and indentation (tools/lib/wgsl_plugin.mjs). */
declare module '*.wgsl' {
  const source: string;
  export default source;
}
