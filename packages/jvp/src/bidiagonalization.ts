/** Golub and Kahan's bidiagonalization, which LSQR and LSMR are built on. */
import { type LinearOperator, requireOperator } from './linear-operator.ts';
import {
  addInPlace,
  changeVector,
  copyVector,
  disposeVector,
  normalize,
  requireVector,
  type Vector,
} from './vector.ts';

/** A Vₖ = Uₖ₊₁ Bₖ, one column at a time, started by u₁ = b/‖b‖. */
export class Bidiagonalization<U extends Vector, V extends Vector> {
  readonly #A: LinearOperator<U, V>;
  #u: V;
  #v: U;
  #alpha: number;
  #beta: number;

  private constructor(A: LinearOperator<U, V>, u: V, beta: number, v: U, alpha: number) {
    this.#A = A;
    this.#u = u;
    this.#v = v;
    this.#alpha = alpha;
    this.#beta = beta;
  }

  /** @throws ShapeError unless b has the shape of A's range. */
  static async start<U extends Vector, V extends Vector>(
    A: LinearOperator<U, V>,
    b: V,
  ): Promise<Bidiagonalization<U, V>> {
    requireOperator('least squares', A);
    requireVector('right-hand side', b, A.range);
    const made: Vector[] = [];
    try {
      const u = copyVector(b);
      made.push(u);
      const beta = await normalize(u);
      const v = A.adjoint.apply(u);
      made.push(v);
      return new Bidiagonalization(A, u, beta, v, await normalize(v));
    } catch (error) {
      for (const vector of made) disposeVector(vector);
      throw error;
    }
  }

  /** The current right vector; it changes in place with `step`. */
  get v(): U {
    return this.#v;
  }

  get alpha(): number {
    return this.#alpha;
  }

  get beta(): number {
    return this.#beta;
  }

  /** Once it is false, there is no further step. */
  get finite(): boolean {
    return Number.isFinite(this.#alpha) && Number.isFinite(this.#beta);
  }

  async step(): Promise<void> {
    const u = changeVector(this.#A.apply(this.#v), (Av) => addInPlace(Av, this.#u, -this.#alpha));
    disposeVector(this.#u);
    // Held before anything else can throw, so that `dispose` frees it.
    this.#u = u;
    this.#beta = await normalize(u);
    if (!Number.isFinite(this.#beta)) return;
    const v = changeVector(this.#A.adjoint.apply(u), (Au) => addInPlace(Au, this.#v, -this.#beta));
    disposeVector(this.#v);
    this.#v = v;
    this.#alpha = await normalize(v);
  }

  dispose(): void {
    disposeVector(this.#u);
    disposeVector(this.#v);
  }
}
