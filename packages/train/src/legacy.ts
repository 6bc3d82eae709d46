/**
 * Files of the form before version 2: weights alone, with the running statistics among them, under names
 * that leave out some parts of a path.
 */
import { Flag, type Module, namedBuffers, namedParameters, placesIn } from '@invnet/layers';
import { CheckpointError, fitProblems, uploadLike } from './fit.ts';
import type { HostTensor } from './safetensors.ts';

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
 * Compares weights with a module, and returns what loads them; what depends on data counts as
 * initialized afterwards, as it did then.
 *
 * @throws CheckpointError that names missing, unexpected and mis-shaped arrays.
 */
export function loadLegacyState(
  module: Module,
  tensors: ReadonlyMap<string, HostTensor>,
  name: string,
): () => void {
  const parameters = [...namedParameters(module)];
  const buffers = [...namedBuffers(module)].filter(([, b]) => !(b instanceof Flag));
  const legacyName = legacyNamesIn(module);
  const expected = [...parameters, ...buffers].map(([path, { shape }]) => ({
    name: legacyName(path),
    shape,
  }));
  const problems = fitProblems(expected, tensors);
  if (problems.length > 0) {
    throw new CheckpointError(
      `restoreCheckpoint: ${name} is of another architecture: ${problems.join('; ')}.`,
    );
  }
  return () => {
    for (const [path, p] of parameters) {
      using values = uploadLike(p.data, tensors.get(legacyName(path))!);
      p.assign(values);
    }
    for (const [path, b] of buffers) b.write(tensors.get(legacyName(path))!.data);
  };
}
