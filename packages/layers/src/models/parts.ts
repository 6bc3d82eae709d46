/** Parts of a network by their path: finding them, and putting another one in a part's place. */
import { ValueError } from '@invnet/tensor';
import { Bijection } from '../core/bijection.ts';
import { Conditioner } from '../core/conditioner.ts';
import { TensorBuffer } from '../tree/buffer.ts';
import { disown } from '../tree/construction.ts';
import {
  holdersOf,
  kindOf,
  type Module,
  namedBuffers,
  namedParameters,
  type Place,
  placesIn,
  requireModule,
} from '../tree/module.ts';
import { requirePath } from '../tree/path.ts';

/** Parts that were put in, by path in the module that was asked; configurations hold them. */
const replacements = new WeakMap<Module, Map<string, Module>>();

/** The parts of a module that are others than its options say, by path. */
export function partsReplacedIn(module: Module): ReadonlyMap<string, Module> {
  return replacements.get(module) ?? new Map();
}

/**
 * The module at a path; the root itself at `''`. A wrapper and what it wraps have one path, which
 * means the wrapper; with `.inner` behind it, what is wrapped.
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
  requireModule('replacePart', part);
  const { module: old, holder } = placeAt(root, path);
  if (!holder) throw new ValueError(`${root.type}: '' is itself; expected the path of a part.`);
  if (kindOf(old) !== kindOf(part)) {
    throw new ValueError(
      `${root.type}: ${part.type} cannot take the place of ${old.type} at '${path}'; expected another ` +
        `${kindNames.get(kindOf(old)) ?? old.type}.`,
    );
  }
  if (old instanceof Bijection && part instanceof Bijection && old.stateSize !== part.stateSize) {
    const kind = (map: Bijection) => (map.stateSize === 1 ? 'tensors' : 'pairs');
    throw new ValueError(
      `${root.type}: '${path}' is a map of ${kind(old)}, and ${part.type} one of ${kind(part)}; ` +
        `expected one of ${kind(old)}.`,
    );
  }
  for (const { container, key } of holdersOf(root, old)) {
    (container as Record<string, Module>)[key] = part;
  }
  disposeUnused(old, root);
  for (const { path: outer, module } of placesIn(root)) forget(module, within(outer, path));
  const replaced = replacements.get(root) ?? new Map<string, Module>();
  replacements.set(root, replaced.set(path, part));
}

/** Drops what was said of parts at a path of a module, or inside of it. */
function forget(module: Module, path: string | undefined): void {
  const replaced = replacements.get(module);
  if (!replaced || path === undefined) return;
  for (const earlier of replaced.keys()) {
    if (earlier === path || earlier.startsWith(`${path}.`)) replaced.delete(earlier);
  }
}

/** A path as it is from what stands at `outer`; undefined for one that does not lie in it. */
function within(outer: string, path: string): string | undefined {
  if (outer === '') return path;
  return path.startsWith(`${outer}.`) ? path.slice(outer.length + 1) : undefined;
}

const kindNames = new Map<object, string>([
  [Bijection, 'bijection'],
  [Conditioner, 'conditioner'],
]);

/** Frees what a part had that the tree has no more, but for what it shares with another. */
function disposeUnused(part: Module, root: Module): void {
  const used = new Set([...namedParameters(root).values()].map((p) => p.identity));
  for (const p of namedParameters(part).values()) if (!used.has(p.identity)) disown(p.data);
  const buffers = new Set(namedBuffers(root).values());
  for (const b of namedBuffers(part).values()) {
    if (b instanceof TensorBuffer && !buffers.has(b)) disown(b.data);
  }
}

/** What stands at a path; what a wrapper there wraps goes by the path with `inner` behind it. */
function placeAt(root: Module, path: string): Place {
  requireModule('moduleAt', root);
  requirePath('moduleAt', path);
  const names = path.split('.');
  let wrapped = 0;
  while (names.at(-1) === 'inner') {
    names.pop();
    wrapped += 1;
  }
  const outer = names.join('.');
  const place = [...placesIn(root)].filter((p) => p.path === outer)[wrapped];
  if (place) return place;
  throw new ValueError(
    `${root.type}: there is no part at '${path}'; expected one of ${partsNear(root, names)}.`,
  );
}

/** The parts within the longest part of a path that there is. */
function partsNear(root: Module, names: readonly string[]): string {
  const paths = [...new Set([...placesIn(root)].map((p) => p.path))].filter((p) => p !== '');
  for (let length = names.length; length > 0; length--) {
    const outer = `${names.slice(0, length).join('.')}.`;
    const inside = paths.filter((p) => p.startsWith(outer));
    if (inside.length > 0) return some(inside);
  }
  return some(paths);
}

function some(paths: readonly string[], most = 8): string {
  if (paths.length === 0) return 'none';
  const more = paths.length > most ? `, … (${paths.length} in all)` : '';
  return `${paths.slice(0, most).join(', ')}${more}`;
}
