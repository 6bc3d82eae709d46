/**
 * The inner map of Sylvester flows (van den Berg et al., "Sylvester normalizing flows for variational inference",
 * 2018). Mathematics: docs/math/residual/sylvester.md
 */
import {
  add,
  affine,
  concat,
  div,
  log,
  matmul,
  mul,
  RandomStream,
  type Shape,
  slice,
  sub,
  sum,
  sumPerSample,
  type Tensor,
  tanh,
  tensor,
  tidy,
  zeros,
} from '@invnet/tensor';
import { requireChannels, requireModuleOptions, requireWhole } from '../core/checks.ts';
import { sumOfTerms } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';
import { type Point, SolvedBijection } from './solved-bijection.ts';
import { determinantOf, tanhRoot, tanhSlope } from './tanh-root.ts';

/** Options of `TriangularSylvester`. */
export interface TriangularSylvesterOptions {
  readonly channels: number;
  /** How many of the first channels move. Default: all. */
  readonly units?: number;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/** Deviation of the first weights. */
const firstDeviation = 0.1;

/** The triangular matrices R and R̃, and the products k of their diagonals. */
interface Factors {
  readonly outer: Tensor;
  readonly inner: Tensor;
  readonly k: Tensor;
}

/** Units as [N, M, P]: what is passed through tanh is of z, the units of x. */
interface SylvesterPoint extends Point, Factors {
  readonly z: Tensor;
  readonly h: Tensor;
  readonly slope: Tensor;
  readonly determinant: Tensor;
}

/**
 * z ↦ z + R·tanh(R̃ z + b) for the first channels z of x, at every position, with upper triangular matrices R and
 * R̃: what a unit becomes depends on itself and those behind it. Diagonals are tanh of their parameters, so that no
 * product kᵢ of two of them is below −1; logdet = Σ log(1 + kᵢ tanh′). The inverse finds one unit after the other, from the last.
 *
 * `mixing` holds R above its diagonal and the transpose of R̃ below it; what is on it is not used.
 *
 * @example
 * const layer = new TriangularSylvester({ channels: 4, random });
 */
export class TriangularSylvester extends SolvedBijection<SylvesterPoint> {
  static readonly type: string = 'TriangularSylvester';
  readonly options: { readonly channels: number; readonly units: number };
  readonly mixing: Parameter;
  readonly outerDiagonal: Parameter;
  readonly innerDiagonal: Parameter;
  readonly b: Parameter;

  /** @throws ValueError unless sizes are whole and positive, and there are no more units than channels. */
  constructor(options: TriangularSylvesterOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('TriangularSylvester', options, ['channels', 'units']);
    const { channels, units = channels, random = new RandomStream(0) } = options;
    requireWhole('TriangularSylvester', 'channels', channels, 1);
    requireWhole('TriangularSylvester', 'units', units, 1, channels);
    this.options = { channels, units };
    const draw = (shape: Shape) => random.normal(shape, firstDeviation);
    this.mixing = new Parameter('mixing', draw([units, units]));
    this.outerDiagonal = new Parameter('outerDiagonal', draw([units]));
    this.innerDiagonal = new Parameter('innerDiagonal', draw([units]));
    this.b = new Parameter('b', zeros([units]));
    building.complete();
  }

  protected at(x: Tensor): SylvesterPoint {
    const factors = this.#factors();
    const z = this.#unitsOf(x);
    const h = tanh(add(matmul(factors.inner, z), column(this.b.data)));
    const slope = tanhSlope(h);
    const determinant = determinantOf(affine(factors.k, 1, 1), slope);
    const y = this.#withUnits(x, add(z, matmul(factors.outer, h)));
    return {
      ...factors,
      x,
      y,
      z,
      h,
      slope,
      determinant,
      logdet: () => sumPerSample(log(determinant)),
    };
  }

  protected root(y: Tensor): Tensor {
    const factors = this.#factors();
    const [b, rise] = [column(this.b.data), affine(factors.k, 1, 1)];
    const units = substituted(factors.outer, factors.inner, this.#unitsOf(y), 'upward', (i, c) =>
      tanh(tanhRoot(slice(rise, 0, i, 1), add(c, slice(b, 0, i, 1)))),
    );
    return this.#withUnits(y, units);
  }

  protected pull(p: SylvesterPoint, dy: Tensor | undefined, dlogdet: Tensor | undefined): Tensor {
    const { z, h, slope, outer, inner } = p;
    const dz = dy && this.#unitsOf(dy);
    const weights = dlogdet?.reshape([-1, 1, 1]);
    const da = sumOfTerms(
      h,
      dz && mul(slope, matmul(outer, dz, { transposeA: true })),
      weights && mul(weights, this.#bend(p)),
    );
    const dk = weights && perUnit(div(mul(weights, slope), p.determinant));
    this.#accumulate(dz && products(dz, h), products(da, z), dk);
    this.b.accumulateGrad(perUnit(da));
    const back = matmul(inner, da, { transposeA: true });
    return dy && dz ? this.#withUnits(dy, add(dz, back)) : this.#onlyUnits(p.x, back);
  }

  protected push(p: SylvesterPoint, tangent: Tangent): Tensor | undefined {
    const { outer, h, slope } = p;
    const { da, douter } = this.#tangent(p, tangent);
    if (!da && !douter) return tangent.x;
    const moved = sumOfTerms(h, da && matmul(outer, mul(slope, da)), douter && matmul(douter, h));
    const dx = tangent.x;
    return dx ? this.#withUnits(dx, add(this.#unitsOf(dx), moved)) : this.#onlyUnits(p.x, moved);
  }

  protected pushLogdet(p: SylvesterPoint, tangent: Tangent): Tensor | undefined {
    const { da, dk } = this.#tangent(p, tangent);
    const moved = sumOfTerms(
      p.h,
      da && mul(this.#bend(p), da),
      dk && div(mul(dk, p.slope), p.determinant),
    );
    return sumPerSample(moved);
  }

  protected solve(p: SylvesterPoint, v: Tensor): Tensor {
    return this.#withUnits(v, this.#solved(p, p.outer, p.inner, v, 'upward'));
  }

  protected solveTransposed(p: SylvesterPoint, v: Tensor): Tensor {
    const transposed = (m: Tensor) => matmul(m, identity(m), { transposeA: true });
    return this.#withUnits(
      v,
      this.#solved(p, transposed(p.inner), transposed(p.outer), v, 'downward'),
    );
  }

  protected override applyShape(x: Shape): Shape {
    return requireChannels('TriangularSylvester', x, this.options.channels);
  }

  /** u with u + outer·s⊙(inner·u) = v, for the slopes s of tanh. */
  #solved(p: SylvesterPoint, outer: Tensor, inner: Tensor, v: Tensor, order: Order): Tensor {
    return substituted(outer, inner, this.#unitsOf(v), order, (i, c) => {
      const [slope, determinant] = [slice(p.slope, 1, i, 1), slice(p.determinant, 1, i, 1)];
      return mul(slope, div(c, determinant));
    });
  }

  #factors(): Factors {
    const { units } = this.options;
    const mixing = this.mixing.data;
    const above = mul(mixing, triangle(mixing));
    const below = mul(matmul(mixing, identity(mixing), { transposeA: true }), triangle(mixing));
    const [outer, inner] = [tanh(this.outerDiagonal.data), tanh(this.innerDiagonal.data)];
    const diagonal = (d: Tensor) => mul(identity(mixing), d);
    return {
      outer: add(above, diagonal(outer)),
      inner: add(below, diagonal(inner)),
      k: mul(outer, inner).reshape([units, 1]),
    };
  }

  /** ∂ log(1 + k tanh′)/∂a */
  #bend({ k, h, slope, determinant }: SylvesterPoint): Tensor {
    return div(mul(k, affine(mul(h, slope), -2)), determinant);
  }

  /** The gradients of the parameters for those of R, R̃ and k. */
  #accumulate(douter: Tensor | undefined, dinner: Tensor, dk: Tensor | undefined): void {
    const mixing = this.mixing.data;
    const above = triangle(mixing);
    const below = matmul(mul(dinner, above), identity(mixing), { transposeA: true });
    this.mixing.accumulateGrad(sumOfTerms(mixing, below, douter && mul(douter, above)));
    const [outer, inner] = [tanh(this.outerDiagonal.data), tanh(this.innerDiagonal.data)];
    const own = (d: Tensor) => sum(mul(d, identity(mixing)), { axes: [1] });
    const throughTanh = (value: Tensor, ...terms: (Tensor | undefined)[]) =>
      mul(tanhSlope(value), sumOfTerms(value, ...terms));
    this.outerDiagonal.accumulateGrad(
      throughTanh(outer, douter && own(douter), dk && mul(dk, inner)),
    );
    this.innerDiagonal.accumulateGrad(throughTanh(inner, own(dinner), dk && mul(dk, outer)));
  }

  /** Directions of a = R̃ z + b, R and k; undefined for what does not move. */
  #tangent({ z, h, inner }: SylvesterPoint, { x: dx, parameters }: Tangent) {
    const mixing = this.mixing.data;
    const [dmixing, d1, d2, db] = [this.mixing, this.outerDiagonal, this.innerDiagonal, this.b].map(
      (q) => parameters?.get(q),
    );
    const [outerTanh, innerTanh] = [tanh(this.outerDiagonal.data), tanh(this.innerDiagonal.data)];
    const [douterTanh, dinnerTanh] = [
      d1 && mul(d1, tanhSlope(outerTanh)),
      d2 && mul(d2, tanhSlope(innerTanh)),
    ];
    const matrix = (above: Tensor | undefined, diagonal: Tensor | undefined) =>
      above || diagonal
        ? sumOfTerms(
            mixing,
            above && mul(above, triangle(mixing)),
            diagonal && mul(identity(mixing), diagonal),
          )
        : undefined;
    const transposed = dmixing && matmul(dmixing, identity(mixing), { transposeA: true });
    const dinner = matrix(transposed, dinnerTanh);
    const da =
      dx || dinner || db
        ? sumOfTerms(
            h,
            dx && matmul(inner, this.#unitsOf(dx)),
            dinner && matmul(dinner, z),
            db && add(affine(h, 0), column(db)),
          )
        : undefined;
    const dk =
      douterTanh || dinnerTanh
        ? sumOfTerms(
            outerTanh,
            douterTanh && mul(douterTanh, innerTanh),
            dinnerTanh && mul(dinnerTanh, outerTanh),
          ).reshape([-1, 1])
        : undefined;
    return { da, douter: matrix(dmixing, douterTanh), dk };
  }

  /** The units as [N, M, P]. */
  #unitsOf(x: Tensor): Tensor {
    const { units } = this.options;
    return slice(x, 1, 0, units).reshape([x.shape[0]!, units, -1]);
  }

  /** x with other units. */
  #withUnits(x: Tensor, units: Tensor): Tensor {
    const { channels, units: count } = this.options;
    const [n, , ...size] = x.shape;
    const shaped = units.reshape([n!, count, ...size]);
    return count === channels ? shaped : concat([shaped, slice(x, 1, count, channels - count)], 1);
  }

  /** Zeros like x but for the units. */
  #onlyUnits(x: Tensor, units: Tensor): Tensor {
    return this.#withUnits(affine(x, 0), units);
  }
}

/** In which order units are found: from the last, or from the first. */
type Order = 'upward' | 'downward';

/**
 * u with u + outer·f(inner·u) = t, both matrices triangular: of each unit what is passed to f is a with
 * a + kᵢ f(a) = c, and `scalar(i, c)` is f(a).
 */
function substituted(
  outer: Tensor,
  inner: Tensor,
  t: Tensor,
  order: Order,
  scalar: (i: number, c: Tensor) => Tensor,
): Tensor {
  const units = t.shape[1]!;
  const found = new Array<Tensor>(units);
  return tidy(() => {
    // t − outer·f and inner·u, as far as units are known.
    let [rest, along] = [t, affine(t, 0)];
    for (let n = 0; n < units; n++) {
      const i = order === 'upward' ? units - 1 - n : n;
      const at = (m: Tensor) => slice(slice(m, 0, i, 1), 1, i, 1);
      const own = slice(rest, 1, i, 1);
      const f = scalar(i, add(mul(at(inner), own), slice(along, 1, i, 1)));
      const u = sub(own, mul(at(outer), f));
      found[i] = u;
      rest = sub(rest, matmul(slice(outer, 1, i, 1), f));
      along = add(along, matmul(slice(inner, 1, i, 1), u));
    }
    return concat(found, 1);
  });
}

/** Σ a bᵀ over samples and positions, [M, M]. */
function products(a: Tensor, b: Tensor): Tensor {
  return sum(matmul(a, b, { transposeB: true }), { axes: [0] });
}

/** Σ over samples and positions, [M]. */
function perUnit(a: Tensor): Tensor {
  return sum(a, { axes: [0, 2] });
}

function column(v: Tensor): Tensor {
  return v.reshape([-1, 1]);
}

/** The identity, where `like` [M, M] is. */
function identity(like: Tensor): Tensor {
  return constant(like, (i, j) => i === j);
}

/** Ones above the diagonal. */
function triangle(like: Tensor): Tensor {
  return constant(like, (i, j) => i < j);
}

function constant(like: Tensor, one: (i: number, j: number) => boolean): Tensor {
  const m = like.shape[0]!;
  const values = Float64Array.from({ length: m * m }, (_, n) =>
    one(Math.floor(n / m), n % m) ? 1 : 0,
  );
  return tensor(values, [m, m], like);
}
