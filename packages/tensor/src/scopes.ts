/**
 * The stack of scopes that `tidy` opens and closes, and that new tensors enter. A tensor is in one
 * scope at most.
 *
 * Left out: what a tensor is, since tensors are built on this.
 */

const scopes: Set<Disposable>[] = [];

/** Opens a scope inside those that are open. */
export function openScope(): void {
  scopes.push(new Set());
}

/** Closes the innermost scope, and returns what is left in it. */
export function closeScope(): ReadonlySet<Disposable> {
  return scopes.pop()!;
}

/** Enters what was just made into the innermost scope, if one is open. */
export function enterScope(made: Disposable): void {
  scopes.at(-1)?.add(made);
}

/** Is it in the innermost scope? */
export function inScope(member: Disposable): boolean {
  return scopes.at(-1)?.has(member) ?? false;
}

/** Takes out of its scope what was disposed, or what outlives it. */
export function leaveScope(member: Disposable): void {
  for (let i = scopes.length - 1; i >= 0; i--) if (scopes[i]!.delete(member)) return;
}
