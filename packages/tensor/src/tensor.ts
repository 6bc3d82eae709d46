/**
 * The tensor: a shape over a storage of a backend. Reshapes share a storage and it is counted, so
 * a block is freed when the last tensor on it is disposed.
 */
import './dispose.ts';
import type { ArrayOf, Backend, DType, NumericArray, Shape, Storage } from './backend.ts';
import { requireFinite } from './checks.ts';
import { currentPlacement, type Placement } from './engine.ts';
import { DisposedError, formatShape, formatValue, ShapeError, ValueError } from './errors.ts';
import { enterScope, leaveScope } from './scopes.ts';

interface SharedStorage {
  storage: Storage;
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
    // What is frozen is nobody's to change, so it is shared.
    this.shape = Object.isFrozen(shape) ? shape : Object.freeze([...shape]);
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

  /**
   * Reads the numbers, row-major, in a copy. An error of an earlier operation surfaces here. The array
   * is of the tensor's dtype, which its type cannot know: of a float64 tensor, ask for
   * `data<'float64'>()`.
   */
  data<D extends DType = 'float32'>(): Promise<ArrayOf<D>> {
    return this.backend.read(this.storage) as Promise<ArrayOf<D>>;
  }

  /** As `data()`, at once. @throws BackendError on a device that cannot. */
  dataSync<D extends DType = 'float32'>(): ArrayOf<D> {
    return this.backend.readSync(this.storage) as ArrayOf<D>;
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

  /**
   * Trades numbers with another tensor of this shape, dtype and backend, without a copy, so it cannot
   * run out of memory. Reshapes of both follow.
   *
   * @throws ShapeError when the two differ in any of these. @throws ValueError, DisposedError
   * @example weights.swap(loaded); // loaded holds the old ones
   */
  swap(other: Tensor): void {
    const [own, others] = [this.#live(), requireTensor('swap', other).#live()];
    const placed = other.backend === this.backend && other.dtype === this.dtype;
    if (!placed || !sameShape(other.shape, this.shape)) {
      throw new ShapeError(
        `swap: got ${other.toString()}; expected another like ${this.toString()}, on one backend.`,
      );
    }
    [own.storage, others.storage] = [others.storage, own.storage];
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
        `A tensor of shape ${formatShape(this.shape)} was used after it was disposed: by dispose(), or at ` +
          'the end of a tidy whose result does not reach it. `keep` spares a tensor that.',
      );
    }
    return this.#shared;
  }
}

/** Nested arrays of numbers, or a flat array with a shape. */
export type NestedNumbers = readonly (number | NestedNumbers | TypedNumbers)[];

/** Arrays of numbers that are no BigInts. */
export type TypedNumbers =
  | NumericArray
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint8ClampedArray
  | Uint16Array
  | Uint32Array;

/**
 * A tensor from numbers: a flat array (typed or plain) with a shape, nested arrays, or one number.
 *
 * @throws ShapeError when the count does not match the shape, or nested arrays are ragged.
 * @throws ValueError for anything else than a number among them, with its place.
 * @example tensor([[1, 2], [3, 4]]).shape // [2, 2]
 */
export function tensor(
  values: number | NestedNumbers | TypedNumbers,
  shape?: Shape,
  place: Placement = currentPlacement(),
): Tensor {
  if (typeof values === 'number') return filled('tensor', shape ?? [], values, place);
  const { flat, found } = isTyped(values)
    ? { flat: values, found: [values.length] }
    : flattened(values);
  const result = checkShape('tensor', shape ?? found);
  if (sizeOf(result) !== flat.length) {
    throw new ShapeError(
      `tensor: ${flat.length} numbers do not fill shape ${formatShape(result)}, which needs ` +
        `${sizeOf(result)}.`,
    );
  }
  const { backend, dtype } = requirePlace('tensor', place);
  return new Tensor(result, backend, backend.upload(flat, dtype));
}

/** A tensor of one value. @throws ShapeError, ValueError unless the value is a finite number. */
export function full(shape: Shape, value: number, place: Placement = currentPlacement()): Tensor {
  requireFinite('full', 'the value', value);
  return filled('full', shape, value, place);
}

/** A tensor of zeros; `zeros(shape, x)` puts it where x is. @throws ShapeError */
export function zeros(shape: Shape, place: Placement = currentPlacement()): Tensor {
  return filled('zeros', shape, 0, place);
}

/** A tensor of ones. @throws ShapeError */
export function ones(shape: Shape, place: Placement = currentPlacement()): Tensor {
  return filled('ones', shape, 1, place);
}

/** Zeros of x's shape and dtype, on x's backend. */
export function zerosLike(x: Tensor): Tensor {
  return zeros(requireTensor('zerosLike', x).shape, x);
}

/** How many numbers a shape holds; 1 for the empty shape. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const s of Array.isArray(shape) ? shape : checkShape('sizeOf', shape)) {
    if (typeof s !== 'number') checkShape('sizeOf', shape);
    size *= s;
  }
  return size;
}

/** Are they equal? */
export function sameShape(a: Shape, b: Shape): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The operand itself. @throws ValueError unless it is a tensor. */
export function requireTensor(op: string, x: unknown, name = 'an operand'): Tensor {
  if (x instanceof Tensor) return x;
  throw new ValueError(`${op}: ${name} is ${formatValue(x)}; expected a tensor.`);
}

/** A frozen copy of the shape. @throws ShapeError unless it is an array of whole, positive sizes, 32 at most. */
export function checkShape(op: string, shape: Shape): Shape {
  const own = copySizes(op, shape);
  if (isShape(own)) return Object.freeze(own);
  throw new ShapeError(
    `${op}: sizes must be whole numbers of at least 1, got ${formatSizes(own)}.`,
  );
}

function filled(op: string, shape: Shape, value: number, place: Placement): Tensor {
  const { backend, dtype } = requirePlace(op, place);
  const own = checkShape(op, shape);
  return new Tensor(own, backend, backend.fill(sizeOf(own), value, dtype));
}

/** @throws ValueError unless it is a tensor, or a backend with one of its dtypes. */
function requirePlace(op: string, place: Placement): Placement {
  if (place?.backend?.dtypes?.includes(place.dtype)) return place;
  throw new ValueError(
    `${op}: the place is ${formatValue(place)}; expected a tensor, or { backend, dtype } of a backend.`,
  );
}

/** What a shape says, read once: getters and proxies may say another thing the next time. */
function copySizes(op: string, shape: Shape): number[] {
  if (!Array.isArray(shape)) {
    throw new ShapeError(
      `${op}: the shape is ${formatValue(shape)}; expected an array of sizes, such as [2, 3].`,
    );
  }
  if (shape.length <= MOST_AXES) return [...shape];
  throw new ShapeError(`${op}: got ${shape.length} sizes; expected at most ${MOST_AXES}.`);
}

function isShape(shape: Shape): boolean {
  // Not by `every`, which passes over holes.
  for (const s of shape) if (!Number.isSafeInteger(s) || s < 1) return false;
  return true;
}

function formatSizes(shape: readonly unknown[]): string {
  return `[${Array.from(shape, formatValue).join(', ')}]`;
}

function inferShape(shape: Shape, x: Tensor): Shape {
  const sizes = copySizes('reshape', shape);
  const unknown = sizes.indexOf(-1);
  if (unknown >= 0) sizes[unknown] = x.size / -sizeOf(sizes);
  // Reshapes are frequent, and their texts are not free.
  if (!isShape(sizes)) {
    checkShape(`reshape of ${formatShape(x.shape)} to ${formatSizes(shape)}`, sizes);
  }
  if (sizeOf(sizes) !== x.size) {
    throw new ShapeError(
      `reshape: ${formatShape(x.shape)} has ${x.size} numbers, ${formatShape(shape)} needs ` +
        `${sizeOf(sizes)}.`,
    );
  }
  return Object.freeze(sizes);
}

/** Deeper arrays are not meant, or hold themselves. */
const MOST_AXES = 32;

function isTyped(values: unknown): values is TypedNumbers {
  return (
    ArrayBuffer.isView(values) &&
    'length' in values &&
    !(values instanceof BigInt64Array || values instanceof BigUint64Array)
  );
}

function isList(values: unknown): values is ArrayLike<unknown> {
  return Array.isArray(values) || isTyped(values);
}

/** The numbers of nested arrays, and their shape, as the first of each level say. */
function flattened(values: unknown): { flat: number[]; found: Shape } {
  const found: number[] = [];
  for (let level = values; isList(level); level = level[0]) {
    if (level.length === 0) throw new ShapeError('tensor: got an empty array.');
    if (found.length === MOST_AXES) {
      throw new ShapeError(`tensor: arrays are nested deeper than ${MOST_AXES} axes.`);
    }
    found.push(level.length);
  }
  const flat: number[] = [];
  const place: number[] = [];
  const visit = (v: unknown, depth: number): void => {
    if (depth === found.length && typeof v === 'number') flat.push(v);
    else if (depth < found.length && isList(v) && v.length === found[depth]) {
      for (let i = 0; i < v.length; i++) {
        place[depth] = i;
        visit(v[i], depth + 1);
      }
    } else throw notANumber(v, place.slice(0, depth), found);
  };
  visit(values, 0);
  return { flat, found };
}

function notANumber(v: unknown, place: readonly number[], found: Shape): Error {
  const at = place.length === 0 ? '' : ` at ${place.map((i) => `[${i}]`).join('')}`;
  if (isList(v) || (typeof v === 'number' && place.length < found.length)) {
    const came = isList(v) ? `an array of ${v.length}` : formatValue(v);
    return new ShapeError(
      `tensor: nested arrays are ragged: got ${came}${at}; the first rows say ${formatShape(found)}.`,
    );
  }
  const integers = v instanceof BigInt64Array || v instanceof BigUint64Array;
  const advice =
    typeof v === 'bigint' || integers
      ? ': 64-bit integers become numbers by Float64Array.from(values, Number)'
      : typeof v === 'string'
        ? ': texts become numbers by Number(text)'
        : '';
  return new ValueError(`tensor: got ${formatValue(v)}${at}; expected a number${advice}.`);
}
