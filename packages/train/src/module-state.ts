/** Parameters and buffers of a module as arrays by path: what files hold of it beside its configuration. */
import { type Module, namedBuffers, namedParameters } from '@invnet/layers';
import { CheckpointError, fitProblems, uploadLike } from './fit.ts';
import type { HostTensor } from './safetensors.ts';

/** All numbers of a module, copied to the host; a part that stands at two places is there once. */
export async function stateOf(module: Module): Promise<Map<string, HostTensor>> {
  const [parameters, buffers] = [namedParameters(module), namedBuffers(module)];
  for (const path of buffers.keys()) {
    if (!parameters.has(path)) continue;
    throw new CheckpointError(
      `${module.type}: a parameter and a buffer are called '${path}'; expected different names.`,
    );
  }
  // All are asked for before any is waited for, so that they are of one moment.
  const reads = [
    ...[...parameters].map(async ([path, p]) => [path, p.shape, await p.data.data()] as const),
    ...[...buffers].map(async ([path, b]) => [path, b.shape, await b.read()] as const),
  ];
  const read = await Promise.all(reads);
  return new Map(read.map(([path, shape, data]) => [path, { shape, data }]));
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
