/** A layer here beside what another library recorded of its own. */
import {
  type Bijection,
  namedBuffers,
  namedParameters,
  TensorBuffer,
  zeroGrad,
} from '@invnet/layers';
import { type Tensor, tensor } from '@invnet/tensor';
import { type HostTensor, readSafetensors } from '@invnet/train';
import type { Build } from './case.ts';

/** What `peers/parity/record.py` wrote of a layer. */
export class Recording {
  readonly library: string;
  /** Its name there. */
  readonly layer: string;
  readonly #tensors: ReadonlyMap<string, HostTensor>;

  /** @throws SafetensorsFormatError for other bytes. */
  constructor(bytes: Uint8Array) {
    const { tensors, metadata } = readSafetensors(bytes);
    this.#tensors = tensors;
    this.library = metadata.library ?? '';
    this.layer = metadata.layer ?? '';
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** @throws Error where there is none of this name. */
  numbers(name: string): number[] {
    return Array.from(this.#host(name).data);
  }

  /** On the current backend. */
  tensor(name: string): Tensor {
    const { data, shape } = this.#host(name);
    return tensor(Float64Array.from(data), shape);
  }

  /** What comes behind `prefix` in the names that begin with it. */
  namesOf(prefix: string): string[] {
    return [...this.#tensors.keys()]
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length));
  }

  #host(name: string): HostTensor {
    const found = this.#tensors.get(name);
    if (!found) throw new Error(`the recording has no '${name}'.`);
    return found;
  }
}

/** The worst relative errors |a − b|/(1 + |b|) of each result. */
export type Errors = Readonly<Record<string, number>>;

/**
 * The errors on the current backend, in its precision: of y, the log-determinant, the inverse of their y, and the
 * gradients of a linear functional of y and the log-determinant by x, by the context and by all of their parameters.
 *
 * @throws Error where our parameters are not those that the recording has.
 */
export function compare(build: Build, recording: Recording, dtype: 'float32' | 'float64'): Errors {
  const layer = build((name) => recording.numbers(`given.${name}`));
  take(layer, recording);
  const [x, weights] = [recording.tensor('x'), recording.tensor('functional.y')];
  const context = recording.has('context') ? recording.tensor('context') : undefined;
  const of = (name: string) => recording.numbers(`${dtype}.${name}`);
  const errors: Record<string, number> = {};
  const { y, logdet } = layer.forward(x, context);
  errors.y = worst(y, of('y'));
  const measured = recording.has(`${dtype}.logdet`);
  if (measured) errors.logdet = worst(logdet, of('logdet'));
  const inverse = layer.inverse(recording.tensor(`${dtype}.y`), context).x;
  errors.inverse = worst(
    inverse,
    recording.has(`${dtype}.inverse`) ? of('inverse') : recording.numbers('x'),
  );
  zeroGrad(layer.parameters);
  const { dx, dcontext } = layer.backward(y, weights, {
    ...(measured && { dlogdet: recording.tensor('functional.logdet') }),
    ...(context && { context }),
  });
  errors['∂x'] = worst(dx, of('dx'));
  if (dcontext) errors['∂context'] = worst(dcontext, of('dcontext'));
  errors['∂parameters'] = difference(
    gradients(layer, recording, of('dparameters').length),
    of('dparameters'),
  );
  layer.dispose();
  for (const t of [x, weights, y, logdet, inverse, dx, context, dcontext]) t?.dispose();
  return errors;
}

/** Sets all parameters, and those buffers that are recorded. */
function take(layer: Bijection, recording: Recording): void {
  const buffers = new Map(
    [...namedBuffers(layer)].flatMap(([path, b]) => (b instanceof TensorBuffer ? [[path, b]] : [])),
  );
  const parameters = namedParameters(layer);
  const names = recording.namesOf('ours.');
  const missing = [...parameters.keys()].filter((name) => !names.includes(name));
  if (missing.length > 0) throw new Error(`the recording has no ${missing.join(', ')}.`);
  for (const name of names) {
    const target = parameters.get(name) ?? buffers.get(name);
    if (!target)
      throw new Error(`the layer has no '${name}', but ${[...parameters.keys()].join(', ')}.`);
    using data = recording.tensor(`ours.${name}`);
    target.assign(data);
  }
}

/** Jᵀg: the gradients of our parameters as gradients of theirs, which ours are functions of. */
function gradients(layer: Bijection, recording: Recording, length: number): number[] {
  const parameters = namedParameters(layer);
  const ours = recording.namesOf('ours.').flatMap((name): number[] => {
    const p = parameters.get(name);
    return p?.grad
      ? Array.from(p.grad.dataSync())
      : Array(recording.numbers(`ours.${name}`).length).fill(0);
  });
  const theirs: number[] = Array(length).fill(0);
  const columns = recording.numbers('derivative.columns');
  const values = recording.numbers('derivative.values');
  for (const [i, row] of recording.numbers('derivative.rows').entries()) {
    theirs[columns[i]!]! += values[i]! * ours[row]!;
  }
  return theirs;
}

function worst(found: Tensor, expected: readonly number[]): number {
  return difference(Array.from(found.dataSync()), expected);
}

/** Infinite for another number of them, or for what is no number. */
function difference(found: readonly number[], expected: readonly number[]): number {
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
  const each = found.map((a, i) => Math.abs(a - expected[i]!) / (1 + Math.abs(expected[i]!)));
  return each.some(Number.isNaN) ? Number.POSITIVE_INFINITY : Math.max(0, ...each);
}
