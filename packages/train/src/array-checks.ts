/** Whether arrays can be saved, and fit what they are to be loaded into; for models, checkpoints and optimizers. */
import { formatShape, InvNetError, roundTo, type Shape, Tensor } from '@invnet/tensor';
import type { HostTensor } from './safetensors.ts';

/** A checkpoint cannot be saved, or does not fit the network or the optimizer. */
export class CheckpointError extends InvNetError {
  override name = 'CheckpointError';
}

/**
 * What keeps `found` from filling `expected`, in words: missing, unexpected and mis-shaped entries.
 * Empty when it fits exactly.
 */
export function fitProblems(
  expected: readonly { readonly name: string; readonly shape: Shape }[],
  found: ReadonlyMap<string, HostTensor>,
): string[] {
  const missing: string[] = [];
  const misshaped: string[] = [];
  for (const { name, shape } of expected) {
    const entry = found.get(name);
    const expectedShape = formatShape(shape);
    if (!entry) missing.push(`${name} ${expectedShape}`);
    else if (formatShape(entry.shape) !== expectedShape) {
      misshaped.push(`${name} has ${formatShape(entry.shape)}, expected ${expectedShape}`);
    }
  }
  const names = new Set(expected.map((e) => e.name));
  const extra: string[] = [];
  for (const [name, { shape }] of found) {
    if (!names.has(name)) extra.push(`${name} ${formatShape(shape)}`);
  }
  const kinds: [string, string[]][] = [
    ['it lacks', missing],
    ['it has the unexpected', extra],
    ['wrong shapes:', misshaped],
  ];
  return kinds.filter(([, list]) => list.length > 0).map(([kind, list]) => `${kind} ${some(list)}`);
}

/**
 * A tensor from numbers on the host, with the backend and dtype of another.
 *
 * @param name - What messages call them.
 * @throws CheckpointError for numbers that are not finite, or not in that dtype.
 */
export function uploadLike(name: string, like: Tensor, { shape, data }: HostTensor): Tensor {
  const at = data.findIndex((value) => !Number.isFinite(roundTo(like.dtype, value)));
  if (at >= 0) {
    throw new CheckpointError(
      `'${name}' holds ${data[at]}, as number ${at} of ${data.length}; expected numbers that are finite ` +
        `as ${like.dtype}.`,
    );
  }
  return new Tensor(shape, like.backend, like.backend.upload(data, like.dtype));
}

/**
 * Numbers that are not finite do not go into files, so that the last file stays one to go back to.
 *
 * @throws CheckpointError that names the first array that holds one.
 */
export function requireFiniteArrays(op: string, arrays: ReadonlyMap<string, HostTensor>): void {
  for (const [name, { data }] of arrays) {
    let at = 0;
    while (at < data.length && Number.isFinite(data[at])) at++;
    if (at === data.length) continue;
    throw new CheckpointError(
      `${op}: '${name}' holds ${data[at]}, as number ${at} of ${data.length}; expected finite numbers. ` +
        'An update ruined it: go back to what was saved last, and try a lower learning rate.',
    );
  }
}

/** The first few of a list: a checkpoint of another architecture differs in hundreds of names. */
function some(list: readonly string[], most = 4): string {
  const shown = list.slice(0, most).join(', ');
  return list.length > most ? `${shown} and ${list.length - most} more` : shown;
}
