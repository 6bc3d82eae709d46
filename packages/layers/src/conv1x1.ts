/**
 * Orthogonal 1×1 convolution by Householder reflections (Putzky and Welling, "Invert to learn to
 * invert", 2019). Mathematics: docs/math/conv1x1.md
 */
import {
  add,
  affine,
  matmul,
  mul,
  neg,
  RandomStream,
  reciprocal,
  sub,
  sum,
  sumSquares,
  type Tensor,
  tensor,
  tidy,
} from '@invnet/tensor';
import type { BackwardOptions, Bijection, Tangent } from './bijection.ts';
import { requireChannels, requireWhole, sumOfTerms, zeroLogdet } from './checks.ts';
import { Parameter } from './parameter.ts';

/** Options of `Conv1x1`. */
export interface Conv1x1Options {
  readonly channels: number;
  /** A fixed random mixing of channels, which is not trained. Default: false. */
  readonly frozen?: boolean;
  /** Draws the three vectors. Default: seed 0. */
  readonly random?: RandomStream;
}

/**
 * y = W x at every position, with W = H(v₁)H(v₂)H(v₃) and H(v) = I − 2vvᵀ/vᵀv; logdet = 0.
 *
 * W is orthogonal whatever the vectors are, so the inverse is Wᵀ and exact.
 *
 * @example
 * const mix = new Conv1x1({ channels: 8, random: new RandomStream(1) });
 * const { y } = mix.forward(x); // x [N, 8, ...]
 */
export class Conv1x1 implements Bijection {
  readonly channels: number;
  readonly vectors: readonly [Parameter, Parameter, Parameter];
  readonly parameters: readonly Parameter[];

  /** @throws ValueError unless channels ≥ 1. */
  constructor(options: Conv1x1Options) {
    const { channels, frozen = false, random = new RandomStream(0) } = options;
    requireWhole('Conv1x1', 'channels', channels, 1);
    this.channels = channels;
    const vector = (name: string) => new Parameter(name, random.normal([channels]), { frozen });
    this.vectors = [vector('v1'), vector('v2'), vector('v3')];
    this.parameters = this.vectors;
  }

  forward(x: Tensor): { y: Tensor; logdet: Tensor } {
    requireChannels('Conv1x1', x, this.channels);
    return tidy(() => ({ y: apply(this.#weights(), x), logdet: zeroLogdet(x) }));
  }

  inverse(y: Tensor): { x: Tensor; logdet: Tensor } {
    requireChannels('Conv1x1', y, this.channels);
    return tidy(() => ({ x: applyTransposed(this.#weights(), y), logdet: zeroLogdet(y) }));
  }

  backward(y: Tensor, dy: Tensor, _options: BackwardOptions = {}): { x: Tensor; dx: Tensor } {
    return tidy(() => {
      const w = this.#weights();
      const x = applyTransposed(w, y);
      this.#accumulate(() => outer(dy, x));
      return { x, dx: applyTransposed(w, dy) };
    });
  }

  backwardInverse(
    x: Tensor,
    dx: Tensor,
    _options: BackwardOptions = {},
  ): { y: Tensor; dy: Tensor } {
    return tidy(() => {
      const w = this.#weights();
      const y = apply(w, x);
      this.#accumulate(() => outer(y, dx));
      return { y, dy: apply(w, dx) };
    });
  }

  jvp(x: Tensor, tangent: Tangent): { y: Tensor; dy: Tensor; logdet: Tensor; dlogdet: Tensor } {
    requireChannels('Conv1x1', x, this.channels);
    return tidy(() => {
      const w = this.#weights();
      const dw = this.#weightsTangent(tangent);
      const dy = sumOfTerms(x, tangent.x && apply(w, tangent.x), dw && apply(dw, x));
      return { y: apply(w, x), dy, logdet: zeroLogdet(x), dlogdet: zeroLogdet(x) };
    });
  }

  jvpInverse(
    y: Tensor,
    tangent: Tangent,
  ): { x: Tensor; dx: Tensor; logdet: Tensor; dlogdet: Tensor } {
    requireChannels('Conv1x1', y, this.channels);
    return tidy(() => {
      const w = this.#weights();
      const dw = this.#weightsTangent(tangent);
      const dx = sumOfTerms(
        y,
        tangent.x && applyTransposed(w, tangent.x),
        dw && applyTransposed(dw, y),
      );
      return { x: applyTransposed(w, y), dx, logdet: zeroLogdet(y), dlogdet: zeroLogdet(y) };
    });
  }

  #weights(): Tensor {
    const [h1, h2, h3] = this.#reflections();
    return matmul(matmul(h1, h2), h3);
  }

  #reflections(): [Tensor, Tensor, Tensor] {
    const [v1, v2, v3] = this.vectors;
    return [reflection(v1.data), reflection(v2.data), reflection(v3.data)];
  }

  /** The derivative of W along the vectors' directions, by the product rule. */
  #weightsTangent(tangent: Tangent): Tensor | undefined {
    const reflections = this.#reflections();
    let total: Tensor | undefined;
    this.vectors.forEach((v, i) => {
      const dv = tangent.parameters?.get(v);
      if (!dv) return;
      const factors = [...reflections];
      factors[i] = reflectionTangent(v.data, dv);
      const term = matmul(matmul(factors[0]!, factors[1]!), factors[2]!);
      total = total ? add(total, term) : term;
    });
    return total;
  }

  /** Adds the vectors' gradients for ∂loss/∂W, which is made only if one of them is trained. */
  #accumulate(makeWeightGrad: () => Tensor): void {
    if (this.vectors.every((v) => v.frozen)) return;
    const g = makeWeightGrad();
    const [h1, h2, h3] = this.#reflections();
    const [v1, v2, v3] = this.vectors;
    // Reflections are symmetric, so transposes of the factors on either side are the factors.
    const g23 = matmul(h1, g);
    const g12 = matmul(g, h3);
    v1.accumulateGrad(reflectionGrad(v1.data, matmul(g12, h2)));
    v2.accumulateGrad(reflectionGrad(v2.data, matmul(h1, g12)));
    v3.accumulateGrad(reflectionGrad(v3.data, matmul(h2, g23)));
  }
}

/** W x at every position of [N, C, ...]. */
function apply(w: Tensor, x: Tensor): Tensor {
  return matmul(w, flat(x)).reshape(x.shape);
}

function applyTransposed(w: Tensor, x: Tensor): Tensor {
  return matmul(w, flat(x), { transposeA: true }).reshape(x.shape);
}

/** Σ a bᵀ over samples and positions, [C, C]. */
function outer(a: Tensor, b: Tensor): Tensor {
  return sum(matmul(flat(a), flat(b), { transposeB: true }), { axes: [0] });
}

function flat(x: Tensor): Tensor {
  return x.reshape([x.shape[0]!, x.shape[1]!, -1]);
}

/** I − 2vvᵀ/vᵀv */
function reflection(v: Tensor): Tensor {
  const twoOverSquare = affine(reciprocal(sumSquares(v)), 2);
  return sub(identity(v), mul(outerProduct(v, v), twoOverSquare));
}

/** −(2/n)(dv vᵀ + v dvᵀ) + (4vᵀdv/n²) vvᵀ with n = vᵀv */
function reflectionTangent(v: Tensor, dv: Tensor): Tensor {
  const inverse = reciprocal(sumSquares(v));
  const symmetric = add(outerProduct(dv, v), outerProduct(v, dv));
  const along = mul(sum(mul(v, dv)), mul(inverse, inverse));
  return add(mul(symmetric, affine(inverse, -2)), mul(outerProduct(v, v), affine(along, 4)));
}

/** −(2/n)(G + Gᵀ)v + (4/n²)(vᵀGv) v for G = ∂loss/∂H */
function reflectionGrad(v: Tensor, g: Tensor): Tensor {
  const inverse = reciprocal(sumSquares(v));
  const column = v.reshape([-1, 1]);
  const gv = matmul(g, column).reshape([-1]);
  const gtv = matmul(g, column, { transposeA: true }).reshape([-1]);
  const along = mul(sum(mul(v, gv)), mul(inverse, inverse));
  return add(neg(mul(add(gv, gtv), affine(inverse, 2))), mul(v, affine(along, 4)));
}

function outerProduct(a: Tensor, b: Tensor): Tensor {
  return mul(a.reshape([-1, 1]), b.reshape([1, -1]));
}

function identity(v: Tensor): Tensor {
  const n = v.size;
  const values = new Float64Array(n * n);
  for (let i = 0; i < n; i++) values[i * (n + 1)] = 1;
  return tensor(values, [n, n], v);
}
