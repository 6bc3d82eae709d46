/** What the derivative of one operation needs on its way, freed when it is done. */
import type {
  Backend,
  BinaryOp,
  Broadcast,
  ReduceOp,
  Reduction,
  Storage,
  UnaryOp,
} from '@invnet/tensor';

/** Numbers and their derivatives, unless those are 0. */
export interface Moving {
  readonly value: Storage;
  readonly tangent: Storage | undefined;
}

/** Operations of a backend whose results are freed by `done`. */
export class Work {
  readonly #backend: Backend;
  readonly #made = new Set<Storage>();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Frees all results but one, and gives that. */
  done(result: Storage | undefined): Storage | undefined {
    if (result) this.#made.delete(result);
    for (const s of this.#made) this.#backend.free(s);
    this.#made.clear();
    return result;
  }

  /** Takes note of what was made by other means. */
  note(s: Storage): Storage {
    this.#made.add(s);
    return s;
  }

  fill({ size, dtype }: Storage, value: number): Storage {
    return this.note(this.#backend.fill(size, value, dtype));
  }

  unary(op: UnaryOp, x: Storage, alpha = 0, beta = 0): Storage {
    return this.note(this.#backend.unary(op, x, alpha, beta));
  }

  affine(x: Storage, alpha: number, beta = 0): Storage {
    return this.unary('affine', x, alpha, beta);
  }

  /** Of operands of one size, unless it is said how they meet. */
  binary(op: BinaryOp, a: Storage, b: Storage, how: Broadcast = evenly(a)): Storage {
    return this.note(this.#backend.binary(op, a, b, how));
  }

  reduce(op: ReduceOp, x: Storage, how: Reduction): Storage {
    return this.note(this.#backend.reduce(op, x, how));
  }

  /** x repeated along the sizes where its stride is 0. */
  expand(x: Storage, sizes: readonly number[], strides: readonly number[]): Storage {
    const zero = this.note(this.#backend.fill(1, 0, x.dtype));
    const nowhere = sizes.map(() => 0);
    return this.binary('add', x, zero, { sizes, aStrides: strides, bStrides: nowhere });
  }

  /** a + b of those that are there. */
  sum(a: Storage | undefined, b: Storage | undefined): Storage | undefined {
    return a && b ? this.binary('add', a, b) : (a ?? b);
  }

  /** The derivative of what is linear in each of two. */
  products(
    a: Moving,
    b: Moving,
    f: (left: Storage, right: Storage) => Storage,
  ): Storage | undefined {
    return this.sum(
      a.tangent && this.note(f(a.tangent, b.value)),
      b.tangent && this.note(f(a.value, b.tangent)),
    );
  }
}

function evenly({ size }: Storage): Broadcast {
  return { sizes: [size], aStrides: [1], bStrides: [1] };
}

/** Strides of a contiguous block. */
export function contiguous(sizes: readonly number[]): number[] {
  const strides = sizes.map(() => 1);
  for (let i = sizes.length - 2; i >= 0; i--) strides[i] = strides[i + 1]! * sizes[i + 1]!;
  return strides;
}
