/** Orthogonal matrices as products of Householder reflections. Mathematics: docs/math/conv1x1.md */
import {
  add,
  affine,
  matmul,
  mul,
  neg,
  type RandomStream,
  reciprocal,
  sub,
  sum,
  sumSquares,
  type Tensor,
  tensor,
} from '@invnet/tensor';
import type { Tangent } from './bijection.ts';
import type { Mixing } from './conv1x1.ts';
import { Parameter } from './parameter.ts';

/** W = H(v₁)H(v₂)H(v₃) with H(v) = I − 2vvᵀ/vᵀv: orthogonal whatever the vectors are. */
export class Householder implements Mixing {
  readonly parameters: readonly [Parameter, Parameter, Parameter];

  constructor(channels: number, random: RandomStream, frozen: boolean) {
    const vector = (name: string) => new Parameter(name, random.normal([channels]), { frozen });
    this.parameters = [vector('v1'), vector('v2'), vector('v3')];
  }

  matrix(): Tensor {
    const [h1, h2, h3] = this.#reflections();
    return matmul(matmul(h1, h2), h3);
  }

  inverse(): Tensor {
    const [h1, h2, h3] = this.#reflections();
    return matmul(matmul(h3, h2), h1);
  }

  /** By the product rule. */
  tangent(tangent: Tangent): Tensor | undefined {
    const reflections = this.#reflections();
    let total: Tensor | undefined;
    this.parameters.forEach((v, i) => {
      const dv = tangent.parameters?.get(v);
      if (!dv) return;
      const factors = [...reflections];
      factors[i] = reflectionTangent(v.data, dv);
      const term = matmul(matmul(factors[0]!, factors[1]!), factors[2]!);
      total = total ? add(total, term) : term;
    });
    return total;
  }

  accumulate(g: Tensor): void {
    const [h1, h2, h3] = this.#reflections();
    const [v1, v2, v3] = this.parameters;
    // Reflections are symmetric, so transposes of the factors on either side are the factors.
    const g23 = matmul(h1, g);
    const g12 = matmul(g, h3);
    v1.accumulateGrad(reflectionGrad(v1.data, matmul(g12, h2)));
    v2.accumulateGrad(reflectionGrad(v2.data, matmul(h1, g12)));
    v3.accumulateGrad(reflectionGrad(v3.data, matmul(h2, g23)));
  }

  #reflections(): [Tensor, Tensor, Tensor] {
    const [v1, v2, v3] = this.parameters;
    return [reflection(v1.data), reflection(v2.data), reflection(v3.data)];
  }
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
