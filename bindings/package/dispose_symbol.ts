// Symbol.dispose, which some engines lack (WebKitGTK 2.50, Firefox before 135). The build replaces the name
// Symbol.dispose by this constant: otherwise, a class there would have a method named "undefined", and
// `using` that a compiler has rewritten would find none. Babel, esbuild and Oxc look for this symbol, too.

// Destructured: the build would replace the name here, too.
const { dispose } = Symbol;

export const disposeSymbol = dispose ?? Symbol.for('Symbol.dispose');
