/**
 * Files of the form before version 2: weights alone, with the running statistics among them, under names
 * that leave out some parts of a path.
 */
import { Flag, type Module, namedBuffers, namedParameters } from '@invnet/layers';
import { CheckpointError, fitProblems, uploadLike } from './fit.ts';
import type { HostTensor } from './safetensors.ts';

/** Places that had no name. */
const nameless = new Set(['network', 'summary']);

/** What the form before version 2 called the part at a path. */
export function legacyName(path: string): string {
  return path
    .split('.')
    .filter((name) => !nameless.has(name))
    .join('.');
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
