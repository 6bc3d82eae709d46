/** Backends that fail on purpose: at the k-th operation, or when memory ends at the k-th allocation. */
import { type Backend, OutOfMemoryError } from '../src/index.ts';

/** What fails: an operation of the backend, or an allocation within one, as memory ends there. */
export type FaultKind = 'operation' | 'allocation';

/** How a call went, and how many operations or allocations it made up to there. */
export interface Attempt<T> {
  readonly count: number;
  readonly result?: T;
  readonly error?: unknown;
}

/** A backend that works as another does, until it is told to fail. */
export class FaultyBackend {
  /** What tensors are to be made on. */
  readonly backend: Backend;
  #kind: FaultKind = 'operation';
  #failAt = Number.POSITIVE_INFINITY;
  #limit = Number.POSITIVE_INFINITY;
  #count = 0;

  constructor(real: Backend) {
    const { memory } = real;
    const allocated = memory.allocated.bind(memory);
    memory.allocated = (bytes) => {
      const { liveBytes } = memory.info();
      // Memory that has ended stays at its end until something is freed.
      if (this.#strikes('allocation')) this.#limit = liveBytes + bytes - 1;
      if (liveBytes + bytes > this.#limit) throw new OutOfMemoryError('no memory, on purpose');
      allocated(bytes);
    };
    const fused = real.fused && this.#counted(real.fused);
    this.backend = this.#counted(real, { fused });
  }

  /** Calls `fn`, with a failure at the k-th operation or allocation; without one for no k. */
  async attempt<T>(
    kind: FaultKind,
    fn: () => T | Promise<T>,
    k = Number.POSITIVE_INFINITY,
  ): Promise<Attempt<T>> {
    [this.#kind, this.#failAt, this.#count] = [kind, k, 0];
    try {
      return { result: await fn(), count: this.#count };
    } catch (error) {
      return { error, count: this.#count };
    } finally {
      this.#failAt = Number.POSITIVE_INFINITY;
      this.#limit = Number.POSITIVE_INFINITY;
    }
  }

  #strikes(kind: FaultKind): boolean {
    if (kind !== this.#kind) return false;
    this.#count += 1;
    return this.#count === this.#failAt;
  }

  /** The object with its operations counted, and some fields in place of its own. */
  #counted<T extends object>(real: T, fields: object = {}): T {
    return new Proxy(real, {
      get: (_, name) => {
        const value: unknown = Reflect.get(Object.hasOwn(fields, name) ? fields : real, name);
        if (typeof value !== 'function') return value;
        return (...given: unknown[]) => {
          const fails = name !== 'free' && name !== 'info' && this.#strikes('operation');
          if (fails) throw new Error(`${String(name)} fails, on purpose`);
          return Reflect.apply(value, real, given);
        };
      },
    });
  }
}
