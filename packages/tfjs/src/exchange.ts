/**
 * Where the two memories meet: numbers go over by a copy, in one place for each way, and tfjs
 * computes for us apart from what it records for its user.
 *
 * Left out: sharing buffers. Ours lie in memory that grows and is freed by hand, those of tfjs are
 * freed by its own counts, so neither may keep a view of the other's.
 */
import {
  BackendError,
  DisposedError,
  DTypeError,
  formatShape,
  formatValue,
  type Placement,
  type Tensor,
  tensor,
  ValueError,
} from '@invnet/tensor';
import * as tf from '@tensorflow/tfjs-core';

/** The tensor of tfjs itself. @throws ValueError, DisposedError, DTypeError unless it is a live one of float32. */
export function requireHostTensor(op: string, name: string, x: unknown): tf.Tensor {
  if (!(x instanceof tf.Tensor)) {
    throw new ValueError(`${op}: ${name} is ${formatValue(x)}; expected a tensor of tfjs.`);
  }
  if (x.isDisposed) {
    throw new DisposedError(
      `${op}: ${name}, a tensor of tfjs of shape ${formatShape(x.shape)}, was disposed; expected a live one.`,
    );
  }
  if (x.dtype === 'float32') return x;
  throw new DTypeError(
    `${op}: ${name} is of ${x.dtype}; expected float32, as tf.cast(x, 'float32') gives.`,
  );
}

/** @throws BackendError unless tfjs has a backend that runs. */
export function requireHost(op: string): void {
  try {
    tf.backend();
  } catch (cause) {
    throw new BackendError(
      `${op}: tfjs has no backend that runs; expected one to be imported, such as ` +
        "'@tensorflow/tfjs-backend-cpu', and `await tf.ready()`.",
      { cause },
    );
  }
}

/**
 * The numbers of a tensor of tfjs, at once. On its backend `cpu` they are those of the tensor
 * itself, which is only read; elsewhere a copy.
 *
 * @throws BackendError on a backend that reads later only, such as webgpu.
 */
export function numbersOf(op: string, t: tf.Tensor): Float32Array {
  try {
    return t.dataSync<'float32'>();
  } catch (cause) {
    throw new BackendError(
      `${op}: tfjs cannot read from its backend '${tf.getBackend()}' at once, as gradients need; ` +
        "expected tf.setBackend('wasm'), 'cpu' or 'webgl'.",
      { cause },
    );
  }
}

/** A tensor of tfjs in our memory. */
export function fromHost(op: string, t: tf.Tensor, place: Placement): Tensor {
  return tensor(numbersOf(op, t), t.shape, place);
}

/** The numbers of ours as a tensor of tfjs, whose backend `cpu` keeps the array that was read. */
export function toHost(op: string, t: Tensor): tf.Tensor {
  return tf.tensor(readNow(op, t), [...t.shape], 'float32');
}

/** The numbers of ours, in float32. @throws BackendError on a backend that reads later only. */
export function readNow(op: string, t: Tensor): Float32Array {
  const numbers = readHere(op, t);
  return numbers instanceof Float32Array ? numbers : Float32Array.from(numbers);
}

function readHere(op: string, t: Tensor): Float32Array | Float64Array {
  try {
    return t.dataSync<'float32' | 'float64'>();
  } catch (cause) {
    if (!(cause instanceof BackendError)) throw cause;
    throw new BackendError(
      `${op}: the backend '${t.backend.name}' cannot be read at once, as the gradients of tfjs need; ` +
        "expected the network on 'wasm', 'native' or 'reference'.",
      { cause },
    );
  }
}

/**
 * Lets tfjs compute for us, and frees what it made. What its user is differentiating records
 * nothing of it, and is not disturbed by gradients that are taken meanwhile.
 */
export function apart<T>(compute: () => T): T {
  const engine = tf.engine();
  const { state } = engine;
  const { activeTape, gradientDepth, kernelDepth } = state;
  state.gradientDepth = 0;
  state.kernelDepth = 0;
  engine.startScope();
  try {
    return compute();
  } finally {
    engine.endScope();
    // What failed on its way back leaves a tape behind, with what it saved.
    if (state.activeTape !== activeTape) freeTape(state.activeTape);
    state.activeTape = activeTape;
    state.gradientDepth = gradientDepth;
    state.kernelDepth = kernelDepth;
  }
}

function freeTape(tape: readonly { readonly saved?: readonly tf.Tensor[] }[] | null): void {
  for (const { saved = [] } of tape ?? []) for (const t of saved) t.dispose();
}
