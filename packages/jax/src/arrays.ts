/**
 * Numbers on their way between jax-js and InvNet, and what is checked of arrays that come from outside.
 *
 * Each way is two copies, since neither library shows or takes a buffer of the other: out of one's memory, and
 * into the other's. Left out: trees of arrays (tree.ts).
 */
import {
  BackendError,
  DisposedError,
  type DType,
  DTypeError,
  formatValue,
  InvNetError,
  type Placement,
  type Tensor,
  tensor,
  ValueError,
} from '@invnet/tensor';
import { type Device, defaultDevice, Array as JaxArray, numpy as np } from '@jax-js/jax';

/** An array of jax-js. */
export type { JaxArray };

/** A function of jax-js threw; `cause` is what. */
export class JaxError extends InvNetError {
  override name = 'JaxError';
}

/** Runs what jax-js computes. @throws JaxError for what that throws. */
export function hosted<T>(op: string, what: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (cause instanceof InvNetError) throw cause;
    const said = cause instanceof Error ? cause.message : formatValue(cause);
    const moved = /move semantics/.test(said)
      ? ' An array is used up by its last use; expected .ref at all uses before.'
      : '';
    throw new JaxError(`${op}: ${what} threw: ${said}.${moved}`, { cause });
  }
}

/** The class of all values of jax-js, arrays and those that its transformations trace. */
const Traced: unknown = Object.getPrototypeOf(JaxArray);

/** Is it a value of jax-js, which may be one that is being traced? */
export function isJaxValue(value: unknown): value is JaxArray {
  return typeof Traced === 'function' && value instanceof Traced;
}

/**
 * The array itself, of one of the types where they are given.
 *
 * @throws ValueError unless it is an array. @throws DisposedError for one that was used up.
 * @throws DTypeError for one of another type.
 */
export function requireArray(
  op: string,
  name: string,
  value: unknown,
  dtypes?: readonly DType[],
): JaxArray {
  if (!(value instanceof JaxArray)) {
    const came = isJaxValue(value)
      ? 'traced by jax-js, which has no derivatives of its users yet; expected an array: ' +
        'compose by chain(…) what would stand in grad, vjp, jit or vmap'
      : hasCount(value)
        ? 'an array of another copy of @jax-js/jax; expected one copy, as `npm ls @jax-js/jax` shows'
        : `${formatValue(value)}; expected an array of jax-js`;
    throw new ValueError(`${op}: ${name} is ${came}.`);
  }
  if (value.refCount <= 0) throw usedUp(op, name);
  if (!dtypes || dtypes.some((d) => d === value.dtype)) return value;
  throw new DTypeError(
    `${op}: ${name} is ${value.dtype}; expected ${dtypes.join(' or ')}, as by .astype(np.${dtypes[0]}).`,
  );
}

/** @throws DisposedError where a list takes more of an array than is left of it. */
export function requireEnough(op: string, arrays: readonly JaxArray[]): void {
  const taken = new Map<JaxArray, number>();
  for (const a of arrays) {
    const count = (taken.get(a) ?? 0) + 1;
    if (count > a.refCount) throw usedUp(op, `an array of shape [${a.shape.join(', ')}]`);
    taken.set(a, count);
  }
}

function usedUp(op: string, name: string): DisposedError {
  return new DisposedError(
    `${op}: ${name} was used up: jax-js moves what it is given. Expected .ref at all uses before.`,
  );
}

function hasCount(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'refCount' in value;
}

/** A tensor of an array, which is used up. @throws BackendError where its device cannot be read at once. */
export function toTensor(array: JaxArray, place?: Placement): Tensor {
  const { shape, device, dtype } = array;
  const values = readAtOnce(array, device);
  if (values instanceof Float32Array || values instanceof Float64Array) {
    return tensor(values, shape, place);
  }
  throw new DTypeError(`toTensor: got ${dtype}; expected float32 or float64.`);
}

/** An array of a tensor, on a device. @throws BackendError where one of the two cannot do so at once. */
export function toArray(t: Tensor, device: Device = defaultDevice()): JaxArray {
  const values = valuesOf(t);
  // What names a device stays there; what names none follows what it meets.
  const place = device === defaultDevice() ? {} : { device };
  try {
    return np.array(values, { shape: [...t.shape], ...place });
  } catch (cause) {
    throw new BackendError(
      `jax-js: its device '${device}' does not take ${t.size} numbers; expected one with room for them, ` +
        'which init() has started.',
      { cause },
    );
  }
}

function readAtOnce(array: JaxArray, device: Device) {
  const { refCount } = array;
  try {
    return array.dataSync();
  } catch (cause) {
    if (array.refCount === refCount) array.dispose();
    throw new BackendError(
      `jax-js: its device '${device}' cannot be read at once; expected one that can, as after ` +
        "defaultDevice('wasm'), and no data() that is still awaited.",
      { cause },
    );
  }
}

function valuesOf(t: Tensor) {
  try {
    return t.dataSync();
  } catch (cause) {
    if (!(cause instanceof BackendError)) throw cause;
    throw new BackendError(
      `the backend '${t.backend.name}' gives its numbers later only, and functions of jax-js are called at ` +
        "once; expected another, as by setBackend('wasm').",
      { cause },
    );
  }
}

/** Arrays of tensors: all or, when it throws, none. */
export function toArrays(tensors: readonly Tensor[], device?: Device): JaxArray[] {
  const made: JaxArray[] = [];
  try {
    for (const t of tensors) made.push(toArray(t, device));
    return made;
  } catch (error) {
    release(made);
    throw error;
  }
}

/** Zeros like an array, which stays. */
export function still(like: JaxArray): JaxArray {
  return np.zeros(like.shape, { dtype: like.dtype });
}

/** Uses up what was given, once each. */
export function free(arrays: Iterable<JaxArray>): void {
  for (const a of arrays) a.dispose();
}

/** Frees what is left of arrays that nobody else has. */
export function release(arrays: Iterable<JaxArray>): void {
  for (const a of arrays) while (a.refCount > 0) a.dispose();
}
