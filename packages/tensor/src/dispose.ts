/**
 * `Symbol.dispose` for browsers that do not have it yet, as TypeScript's documents advise: without it classes
 * cannot name the method that `using` calls. Its value there is the one that esbuild and Vite look for.
 */
if (Symbol.dispose === undefined) {
  Object.defineProperty(Symbol, 'dispose', { value: Symbol.for('Symbol.dispose') });
}
