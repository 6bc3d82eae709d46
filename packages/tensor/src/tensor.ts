/**
 * The tensor: a shape over a storage of a backend. Reshapes share a storage and it is counted, so
 * a block is freed when the last tensor on it is disposed.
 */
import type { Backend, DType, NumericArray, Shape, Storage } from './backend.ts';
import { currentPlacement, type Placement } from './engine.ts';
import { DisposedError, formatShape, ShapeError } from './errors.ts';
import { enterScope, leaveScope } from './scopes.ts';

interface SharedStorage {
  readonly storage: Storage;
  references: number;
}

/**
 * An array of numbers on a backend, freed by `dispose()`, by `using`, or by the end of the `tidy`
 * that it was made in. Operations are functions and return at once; `data()` waits for the result.
 *
 * @example
 * using x = tensor([1, 2, 3, 4], [2, 2]);
 * using y = mul(x, x);
 * console.log(await y.data()); // Float32Array [1, 4, 9, 16]
 */
export class Tensor implements Disposable {
  readonly shape: Shape;
  readonly size: number;
  readonly backend: Backend;
  #shared: SharedStorage | undefined;

  /** Wraps a storage; for operations. Users make tensors with `tensor`, `zeros`, `full`, …. */
  constructor(shape: Shape, backend: Backend, storage: Storage, shared?: SharedStorage) {
    this.shape = shape;
    this.size = sizeOf(shape);
    this.backend = backend;
    this.#shared = shared ?? { storage, references: 0 };
    this.#shared.references += 1;
    backend.memory.tensorMade();
    enterScope(this);
  }

  get rank(): number {
    return this.shape.length;
  }

  get dtype(): DType {
    return this.storage.dtype;
  }

  get disposed(): boolean {
    return this.#shared === undefined;
  }

  /** The backend's handle. @throws DisposedError */
  get storage(): Storage {
    return this.#live().storage;
  }

  /** Reads the numbers, row-major, in a copy. An error of an earlier operation surfaces here. */
  data(): Promise<NumericArray> {
    return this.backend.read(this.storage);
  }

  /** As `data()`, at once. @throws BackendError on a device that cannot. */
  dataSync(): NumericArray {
    return this.backend.readSync(this.storage);
  }

  /**
   * The same numbers in another shape, without a copy; one size may be −1 and is inferred. The
   * result is disposed on its own.
   * @throws ShapeError when the sizes do not multiply to this tensor's.
   */
  reshape(shape: Shape): Tensor {
    const shared = this.#live();
    return new Tensor(inferShape(shape, this), this.backend, shared.storage, shared);
  }

  /** Frees the memory, unless a reshape still uses it. A second call does nothing. */
  dispose(): void {
    const shared = this.#shared;
    if (!shared) return;
    this.#shared = undefined;
    this.backend.memory.tensorDisposed();
    leaveScope(this);
    shared.references -= 1;
    if (shared.references === 0) this.backend.free(shared.storage);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  toString(): string {
    const state = this.disposed ? 'disposed' : this.dtype;
    return `Tensor(${formatShape(this.shape)}, ${state}, ${this.backend.name})`;
  }

  #live(): SharedStorage {
    if (!this.#shared) {
      throw new DisposedError(
        `A tensor of shape ${formatShape(this.shape)} was used after it was disposed.`,
      );
    }
    return this.#shared;
  }
}

/** Nested arrays of numbers, or a flat array with a shape. */
export type NestedNumbers = readonly (number | NestedNumbers)[];

/**
 * A tensor from numbers: a flat array (typed or plain) with a shape, nested arrays, or one number.
 *
 * @throws ShapeError when the count does not match the shape, or nested arrays are ragged.
 * @example tensor([[1, 2], [3, 4]]).shape // [2, 2]
 */
export function tensor(
  values: number | NestedNumbers | NumericArray,
  shape?: Shape,
  place: Placement = currentPlacement(),
): Tensor {
  if (typeof values === 'number') return full(shape ?? [], values, place);
  let flat: ArrayLike<number>;
  let found: Shape;
  if (ArrayBuffer.isView(values)) {
    flat = values;
    found = [values.length];
  } else {
    found = nestedShape(values);
    flat = found.length === 1 ? (values as readonly number[]) : flatten(values, found);
  }
  const result = shape ?? found;
  if (sizeOf(checkShape('tensor', result)) !== flat.length) {
    throw new ShapeError(
      `tensor: ${flat.length} numbers do not fill shape ${formatShape(result)}, which needs ` +
        `${sizeOf(result)}.`,
    );
  }
  return new Tensor(result, place.backend, place.backend.upload(flat, place.dtype));
}

/** A tensor of one value. */
export function full(
  shape: Shape,
  value: number,
  { backend, dtype }: Placement = currentPlacement(),
): Tensor {
  return new Tensor(shape, backend, backend.fill(sizeOf(checkShape('full', shape)), value, dtype));
}

/** A tensor of zeros; `zeros(shape, x)` puts it where x is. */
export function zeros(shape: Shape, place: Placement = currentPlacement()): Tensor {
  return full(shape, 0, place);
}

/** A tensor of ones. */
export function ones(shape: Shape, place: Placement = currentPlacement()): Tensor {
  return full(shape, 1, place);
}

/** Zeros of x's shape and dtype, on x's backend. */
export function zerosLike(x: Tensor): Tensor {
  return zeros(x.shape, x);
}

/** How many numbers a shape holds; 1 for the empty shape. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const s of shape) size *= s;
  return size;
}

/** @throws ShapeError unless all sizes are whole and positive. */
export function checkShape(op: string, shape: Shape): Shape {
  if (isShape(shape)) return shape;
  throw new ShapeError(
    `${op}: sizes must be whole numbers of at least 1, got ${formatShape(shape)}.`,
  );
}

function isShape(shape: Shape): boolean {
  return shape.every((s) => Number.isInteger(s) && s >= 1);
}

function inferShape(shape: Shape, x: Tensor): Shape {
  const unknown = shape.indexOf(-1);
  let result = shape;
  if (unknown >= 0) {
    const known = -sizeOf(shape);
    result = shape.map((s, i) => (i === unknown ? x.size / known : s));
  }
  // Reshapes are frequent, and their texts are not free.
  if (!isShape(result)) {
    checkShape(`reshape of ${formatShape(x.shape)} to ${formatShape(shape)}`, result);
  }
  if (sizeOf(result) !== x.size) {
    throw new ShapeError(
      `reshape: ${formatShape(x.shape)} has ${x.size} numbers, ${formatShape(shape)} needs ` +
        `${sizeOf(result)}.`,
    );
  }
  return result;
}

function nestedShape(values: NestedNumbers): Shape {
  const shape: number[] = [];
  let level: number | NestedNumbers = values;
  while (typeof level !== 'number') {
    shape.push(level.length);
    const first: number | NestedNumbers | undefined = level[0];
    if (first === undefined) throw new ShapeError('tensor: got an empty array.');
    level = first;
  }
  return shape;
}

function flatten(values: NestedNumbers, shape: Shape): number[] {
  const flat: number[] = [];
  const visit = (v: number | NestedNumbers, depth: number): void => {
    if (typeof v === 'number' ? depth !== shape.length : v.length !== shape[depth]) {
      throw new ShapeError(
        `tensor: nested arrays are ragged; the first rows say ${formatShape(shape)}.`,
      );
    }
    if (typeof v === 'number') flat.push(v);
    else for (const inner of v) visit(inner, depth + 1);
  };
  visit(values, 0);
  return flat;
}
