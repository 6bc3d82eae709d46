/**
 * Trainable tensors with their gradients, and the vector-space operations on lists of them that
 * optimization methods need.
 */
import {
  accumulate,
  assign,
  concat,
  formatShape,
  keep,
  mul,
  type NumericArray,
  requireSameShape,
  type Shape,
  ShapeError,
  sizeOf,
  slice,
  sum,
  sumSquares,
  type Tensor,
  tidy,
  ValueError,
  zerosLike,
} from '@invnet/tensor';

/**
 * A named tensor that is trained. Gradients accumulate: a block that is used twice gets the sum.
 *
 * @example
 * const w = new Parameter('w', zeros([4, 4]));
 * w.accumulateGrad(dw); // grad ← grad + dw
 * w.zeroGrad();
 */
export class Parameter {
  /** Path name within the network, such as `scales.0.steps.3.coupling.conditioner.w1`. */
  name: string;
  /** The numbers; owned by the parameter and updated in place. */
  readonly data: Tensor;
  /** A frozen parameter gathers no gradient and is not trained. */
  frozen: boolean;
  #assigned = false;
  #grad: Tensor | undefined;

  /** Takes over `data`. */
  constructor(name: string, data: Tensor, options: { frozen?: boolean } = {}) {
    this.name = name;
    this.data = keep(data);
    this.frozen = options.frozen ?? false;
  }

  get shape(): Shape {
    return this.data.shape;
  }

  get size(): number {
    return this.data.size;
  }

  /** ∂loss/∂data summed over all backward calls since `zeroGrad`; undefined before the first. */
  get grad(): Tensor | undefined {
    return this.#grad;
  }

  /** grad ← grad + alpha·g; nothing for a frozen parameter. Does not dispose g. */
  accumulateGrad(g: Tensor, alpha = 1): void {
    if (this.frozen) return;
    this.#grad ??= keep(zerosLike(this.data));
    accumulate(this.#grad, g, alpha);
  }

  /** As `accumulateGrad(g)`, and takes g over: it is freed, or becomes the gradient. */
  takeGrad(g: Tensor): void {
    if (!this.frozen && !this.#grad) {
      this.attachGrad(g);
      return;
    }
    this.accumulateGrad(g);
    g.dispose();
  }

  /** Hands the gradient over to the caller, and leaves none. */
  detachGrad(): Tensor | undefined {
    const grad = this.#grad;
    this.#grad = undefined;
    return grad;
  }

  /** Takes over a gradient in place of its own. @throws ShapeError */
  attachGrad(grad: Tensor): void {
    requireSameShape(`gradient of '${this.name}'`, this.data, grad);
    this.zeroGrad();
    this.#grad = keep(grad);
  }

  /** Clears the gradient and frees its memory. */
  zeroGrad(): void {
    this.#grad?.dispose();
    this.#grad = undefined;
  }

  /** Copies a tensor of the same shape in. @throws ShapeError */
  assign(values: Tensor): void {
    assign(this.data, values);
    this.#assigned = true;
  }

  /** Were numbers assigned since it was made? Data-dependent initialization asks before it acts. */
  get assigned(): boolean {
    return this.#assigned;
  }

  dispose(): void {
    this.zeroGrad();
    this.data.dispose();
  }
}

/** One tensor for each parameter of a list: a point of the space of parameters. */
export type ParameterVector = readonly Tensor[];

/** Clears all gradients. */
export function zeroGrad(parameters: readonly Parameter[]): void {
  for (const p of parameters) p.zeroGrad();
}

/** The gradients, in order; zeros where none was gathered. The caller disposes them. */
export function gradients(parameters: readonly Parameter[]): Tensor[] {
  return parameters.map((p) => {
    const g = zerosLike(p.data);
    if (p.grad) assign(g, p.grad);
    return g;
  });
}

/** a + alpha·b, tensor by tensor. */
export function addVectors(a: ParameterVector, b: ParameterVector, alpha = 1): Tensor[] {
  requireSameLength('addVectors', a, b);
  return a.map((t, i) => {
    const r = zerosLike(t);
    assign(r, t);
    accumulate(r, b[i]!, alpha);
    return r;
  });
}

/** alpha·a. */
export function scaleVector(a: ParameterVector, alpha: number): Tensor[] {
  return a.map((t) => {
    const r = zerosLike(t);
    accumulate(r, t, alpha);
    return r;
  });
}

/** ⟨a, b⟩ = Σ aᵢbᵢ over all tensors. */
export async function dotVectors(a: ParameterVector, b: ParameterVector): Promise<number> {
  requireSameLength('dotVectors', a, b);
  return total(a.map((t, i) => tidy(() => sum(mul(t, b[i]!)))));
}

/** The Euclidean norm √⟨a, a⟩. */
export async function normOfVector(a: ParameterVector): Promise<number> {
  return Math.sqrt(await total(a.map((t) => sumSquares(t))));
}

/** All numbers in one tensor of rank 1, in order. */
export function flatten(a: ParameterVector): Tensor {
  return tidy(() =>
    concat(
      a.map((t) => t.reshape([-1])),
      0,
    ),
  );
}

/** The inverse of `flatten`, with the shapes of `like`. @throws ShapeError when sizes differ. */
export function unflatten(flat: Tensor, like: readonly { shape: Shape }[]): Tensor[] {
  const sizes = like.map((p) => sizeOf(p.shape));
  const expected = sizes.reduce((x, y) => x + y, 0);
  if (flat.size !== expected) {
    throw new ShapeError(
      `unflatten: ${formatShape(flat.shape)} for parameters of ${expected} numbers in all.`,
    );
  }
  return tidy(() => {
    let start = 0;
    return like.map((p, i) => {
      const part = slice(flat, 0, start, sizes[i]!).reshape(p.shape);
      start += sizes[i]!;
      return part;
    });
  });
}

/** Prefixes parameter names, so that a network's have stable paths. Called by what contains them. */
export function prefixNames(prefix: string, parameters: readonly Parameter[]): void {
  for (const p of parameters) p.name = `${prefix}.${p.name}`;
}

async function total(scalars: Tensor[]): Promise<number> {
  let value = 0;
  for (const s of scalars) {
    const [v]: NumericArray = await s.data();
    value += v!;
    s.dispose();
  }
  return value;
}

function requireSameLength(op: string, a: ParameterVector, b: ParameterVector): void {
  if (a.length !== b.length) {
    throw new ValueError(
      `${op}: lists of ${a.length} and ${b.length} tensors; expected one length.`,
    );
  }
}
