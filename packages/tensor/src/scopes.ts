/**
 * The stack of scopes that `tidy` opens and closes, and that new tensors enter. A tensor is in one scope at
 * most, and knows its place there: every operation enters one and leaves one, which takes no search.
 *
 * Left out: what a tensor is, since tensors are built on this.
 */
import './dispose.ts';

const scopes: Scoped[][] = [];

/** Enters what was just made into the innermost scope, if one is open. */
export let enterScope: (made: Scoped) => void;

/** Takes out of its scope what was disposed, or what outlives it. */
export let leaveScope: (member: Scoped) => void;

/** Is it in the innermost scope? */
export let inScope: (member: Scoped) => boolean;

/** Opens a scope inside those that are open. */
export function openScope(): void {
  scopes.push([]);
}

/** Closes the innermost scope, and returns what is left in it, which is in none any more. */
export let closeScope: () => readonly Scoped[];

/** What can be in a scope. Where it is, is seen here alone. */
export abstract class Scoped implements Disposable {
  #scope: Scoped[] | undefined;
  #place = 0;

  abstract [Symbol.dispose](): void;

  static {
    enterScope = (made) => {
      const scope = scopes[scopes.length - 1];
      if (!scope) return;
      made.#scope = scope;
      made.#place = scope.push(made) - 1;
    };
    leaveScope = (member) => {
      const scope = member.#scope;
      if (!scope) return;
      member.#scope = undefined;
      // The last one takes the place that becomes free.
      const last = scope.pop()!;
      if (last === member) return;
      scope[member.#place] = last;
      last.#place = member.#place;
    };
    inScope = (member) => member.#scope !== undefined && member.#scope === scopes.at(-1);
    closeScope = () => {
      const members = scopes.pop()!;
      for (const member of members) member.#scope = undefined;
      return members;
    };
  }
}
