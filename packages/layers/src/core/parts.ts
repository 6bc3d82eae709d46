/** Parts of a network by their path: finding them, and putting another one in a part's place. */
import { ValueError } from '@invnet/tensor';
import { Bijection } from './bijection.ts';
import { Conditioner } from './conditioner.ts';
import { type Module, namedBuffers, namedParameters, type Place, placesIn } from './module.ts';

/** Parts that were put in, by path in the module that was asked; configurations hold them. */
const replacements = new WeakMap<Module, Map<string, Module>>();

/** The parts of a module that are others than its options say, by path. */
export function partsReplacedIn(module: Module): ReadonlyMap<string, Module> {
  return replacements.get(module) ?? new Map();
}

/**
 * The module at a path; the root itself at `''`. A wrapper and what it wraps have one path, which
 * means the wrapper.
 *
 * @throws ValueError when there is none.
 * @example moduleAt(glow, 'scales.0.steps.3.coupling')
 */
export function moduleAt(root: Module, path: string): Module {
  return placeAt(root, path).module;
}

/**
 * Puts a module in the place of a part, which is freed, in a tree that nobody has asked anything yet.
 *
 * @throws ValueError for a path that is none, the root's, or of a part of another kind.
 */
export function setPart(root: Module, path: string, part: Module): void {
  const { module: old, holder } = placeAt(root, path);
  if (!holder) throw new ValueError(`${root.type}: '' is itself; expected the path of a part.`);
  for (const kind of [Bijection, Conditioner]) {
    if (old instanceof kind === part instanceof kind) continue;
    throw new ValueError(
      `${root.type}: '${path}' is a ${old.type}, and a ${part.type} cannot take its place; expected ` +
        `another ${old instanceof Bijection ? 'bijection' : 'conditioner'}.`,
    );
  }
  (holder.container as Record<string, Module>)[holder.key] = part;
  disposeUnused(old, root);
  const replaced = replacements.get(root) ?? new Map<string, Module>();
  for (const earlier of replaced.keys()) {
    if (earlier === path || earlier.startsWith(`${path}.`)) replaced.delete(earlier);
  }
  replacements.set(root, replaced.set(path, part));
}

/** Frees what a part had that the tree has no more. */
function disposeUnused(part: Module, root: Module): void {
  const used = new Set([...namedParameters(root).values()].map((p) => p.identity));
  for (const p of namedParameters(part).values()) if (!used.has(p.identity)) p.dispose();
  const buffers = new Set(namedBuffers(root).values());
  for (const b of namedBuffers(part).values()) if (!buffers.has(b)) b.dispose();
}

function placeAt(root: Module, path: string): Place {
  for (const place of placesIn(root)) if (place.path === path) return place;
  const known = [...new Set([...placesIn(root)].map((p) => p.path))].filter((p) => p !== '');
  throw new ValueError(
    `${root.type}: there is no part at '${path}'; expected one of ${known.slice(0, 8).join(', ')}` +
      `${known.length > 8 ? `, … (${known.length} in all)` : ''}.`,
  );
}
