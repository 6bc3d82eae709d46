/**
 * `Symbol.dispose` for browsers that do not have it yet, as TypeScript's documents advise: without it classes
 * cannot name the method that `using` calls. Its value there is the one that esbuild and Vite look for.
 */
/** Whether it had to be provided. A constant, as declarations may hold no statement. */
export const disposeProvided = provideDispose();

function provideDispose(): boolean {
  if (Symbol.dispose !== undefined) return false;
  Object.defineProperty(Symbol, 'dispose', { value: Symbol.for('Symbol.dispose') });
  return true;
}
