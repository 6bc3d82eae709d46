/** Parameters and buffers of a module as arrays by path: what files hold of it beside its configuration. */
import { type Module, namedBuffers, namedParameters } from '@invnet/layers';
import { CheckpointError, fitProblems, uploadLike } from './fit.ts';
import type { HostTensor } from './safetensors.ts';

/** All numbers of a module, copied to the host; a part that stands at two places is there once. */
export async function stateOf(module: Module): Promise<Map<string, HostTensor>> {
  const tensors = new Map<string, HostTensor>();
  for (const [path, p] of namedParameters(module)) {
    tensors.set(path, { shape: p.shape, data: await p.data.data() });
  }
  for (const [path, b] of namedBuffers(module)) {
    if (tensors.has(path)) {
      throw new CheckpointError(
        `${module.type}: a parameter and a buffer are called '${path}'; expected different names.`,
      );
    }
    tensors.set(path, { shape: b.shape, data: await b.read() });
  }
  return tensors;
}

/**
 * Compares arrays with a module, and returns what loads them, which cannot fail any more.
 *
 * @throws CheckpointError that names missing, unexpected and mis-shaped arrays.
 */
export function fitState(
  op: string,
  module: Module,
  tensors: ReadonlyMap<string, HostTensor>,
  name: string,
): () => void {
  const parameters = namedParameters(module);
  const buffers = namedBuffers(module);
  const expected = [...parameters, ...buffers].map(([path, { shape }]) => ({ name: path, shape }));
  const problems = fitProblems(expected, tensors);
  if (problems.length > 0) {
    throw new CheckpointError(
      `${op}: ${name} does not fit a ${module.type} of its configuration: ${problems.join('; ')}.`,
    );
  }
  return () => {
    for (const [path, p] of parameters) {
      using values = uploadLike(p.data, tensors.get(path)!);
      p.assign(values);
    }
    // Behind the parameters, for assigning those counts as their initialization.
    for (const [path, b] of buffers) b.write(tensors.get(path)!.data);
  };
}
