/**
 * Files of the form before version 2: weights alone, with the running statistics among them, under names
 * that leave out some parts of a path.
 */
import { Flag, type Module, namedBuffers, namedParameters, placesIn } from '@invnet/layers';
import type { Places } from './staged-arrays.ts';

/** Parts that had no name, by the type of the module that holds them. */
const nameless: ReadonlyMap<string, readonly string[]> = new Map([
  ['Flow', ['network']],
  ['SummarizedNetwork', ['network', 'summary']],
]);

/** What the form before version 2 called the part of a module at a path. */
export function legacyNamesIn(root: Module): (path: string) => string {
  const places = [...placesIn(root)].flatMap(({ path, module }) =>
    (nameless.get(module.type) ?? []).map((field) => (path === '' ? field : `${path}.${field}`)),
  );
  const leftOut = new Set(places);
  return (path) => {
    const names = path.split('.');
    return names.filter((_, i) => !leftOut.has(names.slice(0, i + 1).join('.'))).join('.');
  };
}

/**
 * Where weights of that form belong in a module; what depends on data counts as initialized when they
 * are set, as it did then.
 */
export function legacyPlacesOf(module: Module): Places {
  const buffers = [...namedBuffers(module)].filter(([, b]) => !(b instanceof Flag));
  const legacyName = legacyNamesIn(module);
  return [...namedParameters(module), ...buffers].map(([path, p]) => [legacyName(path), p]);
}
