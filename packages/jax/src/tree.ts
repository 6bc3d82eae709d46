/** Trees of arrays, as jax-js has its parameters in: lists and records of them, however deep. */
import { ValueError } from '@invnet/tensor';
import type { JsTree } from '@jax-js/jax';
import type { JaxArray } from './arrays.ts';

/** An array, or lists and records of such trees. */
export type JaxTree = JsTree<JaxArray>;

/**
 * A tree with each leaf replaced by what `f` makes of it and the keys that lead to it. Whatever is neither a list
 * nor a record is a leaf.
 *
 * @throws ValueError for trees that hold themselves.
 */
export function mapTree<T>(
  op: string,
  tree: unknown,
  f: (leaf: unknown, keys: readonly string[]) => T,
): JsTree<T> {
  const visit = (value: unknown, keys: readonly string[], outer: readonly unknown[]): JsTree<T> => {
    if (!Array.isArray(value) && !isRecord(value)) return f(value, keys);
    if (outer.includes(value)) {
      throw new ValueError(`${op}: a tree of arrays holds itself, at '${keys.join('.')}'.`);
    }
    const within = [...outer, value];
    if (Array.isArray(value)) {
      return Array.from(value, (v, i) => visit(v, [...keys, String(i)], within));
    }
    return Object.fromEntries(
      Object.entries(value).map(([key, v]) => [key, visit(v, [...keys, key], within)]),
    );
  };
  return visit(tree, [], []);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  );
}
