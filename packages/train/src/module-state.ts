/** Parameters and buffers of a module as arrays by path: what files hold of it beside its configuration. */
import { type Module, namedBuffers, namedParameters } from '@invnet/layers';
import { CheckpointError } from './array-checks.ts';
import type { HostTensor } from './safetensors.ts';
import type { Places } from './staged-arrays.ts';

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

/** Where the arrays of `stateOf` belong. */
export function placesOf(module: Module): Places {
  // Buffers stand behind the parameters, for setting those counts as their initialization.
  return [...namedParameters(module), ...namedBuffers(module)];
}
