/**
 * Densities in the plane on which flows are tried out. Samples have shape [n, 2] and live on the
 * current backend; the sampling itself runs on the host, so a seed gives the same samples anywhere.
 */
import {
  add,
  affine,
  concat,
  div,
  exp,
  formatShape,
  log,
  matmul,
  max,
  mul,
  type RandomStream,
  requireAtLeast,
  requireBetween,
  requireFinite,
  requireOptions,
  requireStream,
  requireTensor,
  requireWhole,
  ShapeError,
  slice,
  square,
  sub,
  sum,
  sumPerSample,
  type Tensor,
  tensor,
  tidy,
} from '@invnet/tensor';

/** Something to draw points of the plane from. */
export interface Samplable {
  /** n points, [n, 2]. */
  sample(n: number, random: RandomStream): Tensor;
}

/** A distribution whose density is known. */
export interface Density extends Samplable {
  /** log p(x) for points [n, 2], in nats: [n]. @throws ShapeError */
  logDensity(x: Tensor): Tensor;
}

/** A distribution whose density has a gradient that is known as well. */
export interface SmoothDensity extends Density {
  /** ∇ log p(x) for points [n, D], of their shape. @throws ShapeError */
  score(x: Tensor): Tensor;
}

/** Shape of the banana. */
export interface BananaOptions {
  /** How strongly it bends. Default: 1. */
  readonly bend?: number;
  /** Standard deviation across it. Default: 0.5. */
  readonly thickness?: number;
}

/**
 * A normal distribution bent into a parabola (after Haario, Saksman and Tamminen, 1999):
 * x₁ = z₁, x₂ = thickness·z₂ + bend·(z₁² − 1), with standard normal z. The mean is 0, and
 * log p(x) = −(z₁² + z₂²)/2 − log 2π − log thickness, for z that gives x.
 *
 * @throws ValueError unless thickness > 0 and both are finite.
 * @example
 * const density = banana();
 * const x = density.sample(1000, new RandomStream(1)); // [1000, 2]
 * const truth = density.logDensity(x); // [1000]
 * const slope = density.score(x); // ∇ log p, [1000, 2]
 */
export function banana(options: BananaOptions = {}): SmoothDensity {
  requireOptions('banana', options, ['bend', 'thickness']);
  const { bend = 1, thickness = 0.5 } = options;
  requireFinite('banana', 'bend', bend);
  requireBetween('banana', 'thickness', thickness, 0);
  /** The z that gives x, each as [n, 1]. */
  const latent = (x: Tensor) => {
    const z1 = slice(x, 1, 0, 1);
    const parabola = affine(square(z1), bend, -bend);
    return { z1, z2: affine(sub(slice(x, 1, 1, 1), parabola), 1 / thickness) };
  };
  return {
    sample(n, random) {
      requireCount('banana', n, random);
      const points = random.normalArray(2 * n);
      for (let i = 0; i < points.length; i += 2) {
        points[i + 1] = thickness * points[i + 1]! + bend * (points[i]! ** 2 - 1);
      }
      return tensor(points, [n, 2]);
    },
    logDensity(x) {
      requirePoints('banana', x);
      return tidy(() => {
        const { z1, z2 } = latent(x);
        const squares = sumPerSample(add(mul(z1, z1), mul(z2, z2)));
        return affine(squares, -0.5, -Math.log(2 * Math.PI * thickness));
      });
    },
    score(x) {
      requirePoints('banana', x);
      return tidy(() => {
        const { z1, z2 } = latent(x);
        const along = affine(mul(z1, z2), (2 * bend) / thickness);
        return concat([sub(along, z1), affine(z2, -1 / thickness)], 1);
      });
    },
  };
}

/** Shape of the swirl. */
export interface SwirlOptions {
  /** Turns around the origin. Default: 1.5. */
  readonly turns?: number;
  /** Distance of the outer end from the origin. Default: 2. */
  readonly radius?: number;
  /** Standard deviation of the normal noise around the spiral. Default: 0.1. */
  readonly noise?: number;
}

/**
 * A spiral from the origin outwards with normal noise: for uniform u in [0, 1) and t = √u,
 * x = radius·t·(cos 2π·turns·t, sin 2π·turns·t) + noise·z. The root makes points about equally
 * dense along the spiral. Its density has no closed form.
 *
 * @throws ValueError unless turns and radius are positive and noise is not negative.
 * @example const x = swirl({ noise: 0.05 }).sample(1000, new RandomStream(1)); // [1000, 2]
 */
export function swirl(options: SwirlOptions = {}): Samplable {
  requireOptions('swirl', options, ['turns', 'radius', 'noise']);
  const { turns = 1.5, radius = 2, noise = 0.1 } = options;
  requireBetween('swirl', 'turns', turns, 0);
  requireBetween('swirl', 'radius', radius, 0);
  requireAtLeast('swirl', 'noise', noise, 0);
  return {
    sample(n, random) {
      requireCount('swirl', n, random);
      const u = random.uniformArray(n);
      const points = random.normalArray(2 * n, noise);
      for (let i = 0; i < n; i++) {
        const t = Math.sqrt(u[i]!);
        const angle = 2 * Math.PI * turns * t;
        points[2 * i]! += radius * t * Math.cos(angle);
        points[2 * i + 1]! += radius * t * Math.sin(angle);
      }
      return tensor(points, [n, 2]);
    },
  };
}

export function requireCount(name: string, n: number, random: RandomStream): void {
  requireWhole(name, 'the number of points', n, 1);
  requireStream(name, random);
}

export function requirePoints(name: string, x: Tensor, channels = 2): void {
  if (requireTensor(name, x).rank === 2 && x.shape[1] === channels) return;
  throw new ShapeError(
    `${name}: points of shape ${formatShape(x.shape)}; expected [n, ${channels}].`,
  );
}

/** Shape of the two moons. */
export interface TwoMoonsOptions {
  /** Standard deviation of the normal noise around the arcs. Default: 0.1. */
  readonly noise?: number;
}

/**
 * Two half circles of radius 1 that reach into each other, with normal noise: the upper one around
 * (−0.5, −0.25), the lower one around (0.5, 0.25), each with probability ½. The mean is about 0.
 *
 * @throws ValueError unless noise is a finite number of at least 0.
 * @example const x = twoMoons().sample(1000, new RandomStream(1)); // [1000, 2]
 */
export function twoMoons(options: TwoMoonsOptions = {}): Samplable {
  requireOptions('twoMoons', options, ['noise']);
  const { noise = 0.1 } = options;
  requireAtLeast('twoMoons', 'noise', noise, 0);
  return {
    sample(n, random) {
      requireCount('twoMoons', n, random);
      const u = random.uniformArray(2 * n);
      const points = random.normalArray(2 * n, noise);
      for (let i = 0; i < n; i++) {
        const side = u[2 * i]! < 0.5 ? 1 : -1;
        const angle = Math.PI * u[2 * i + 1]!;
        points[2 * i]! += side * (Math.cos(angle) - 0.5);
        points[2 * i + 1]! += side * (Math.sin(angle) - 0.25);
      }
      return tensor(points, [n, 2]);
    },
  };
}

/**
 * Uniform on the eight dark squares of a 4 × 4 board over [−2, 2]², the lower left one dark: inside
 * them log p = −log 8, outside −∞.
 *
 * @example const x = checkerboard().sample(1000, new RandomStream(1)); // [1000, 2]
 */
export function checkerboard(): Samplable {
  return {
    sample(n, random) {
      requireCount('checkerboard', n, random);
      const u = random.uniformArray(2 * n);
      const points = new Float32Array(2 * n);
      for (let i = 0; i < n; i++) {
        const x = 4 * u[2 * i]!;
        const column = Math.min(3, Math.floor(x));
        const y = 2 * u[2 * i + 1]!;
        // Of the two dark rows of this column, the lower or the upper one.
        const row = Math.min(1, Math.floor(y));
        points[2 * i] = x - 2;
        points[2 * i + 1] = 2 * row + (column % 2) + (y - row) - 2;
      }
      return tensor(points, [n, 2]);
    },
  };
}

/** Shape of the eight Gaussians. */
export interface EightGaussiansOptions {
  /** Distance of their centres from the origin. Default: 2. */
  readonly radius?: number;
  /** Standard deviation of each. Default: 0.2. */
  readonly deviation?: number;
}

/**
 * Eight round normal distributions of equal weight on a circle:
 * p(x) = ⅛ Σₖ N(x; radius·(cos kπ/4, sin kπ/4), deviation²·1).
 *
 * @throws ValueError unless both are finite and above 0.
 * @example const truth = eightGaussians().logDensity(x); // [n] for x [n, 2]
 */
export function eightGaussians(options: EightGaussiansOptions = {}): SmoothDensity {
  requireOptions('eightGaussians', options, ['radius', 'deviation']);
  const { radius = 2, deviation = 0.2 } = options;
  requireBetween('eightGaussians', 'radius', radius, 0);
  requireBetween('eightGaussians', 'deviation', deviation, 0);
  const centres = Array.from({ length: 8 }, (_, k) => [
    radius * Math.cos((k * Math.PI) / 4),
    radius * Math.sin((k * Math.PI) / 4),
  ]);
  /** −‖x − centre‖²/2·deviation² of each, [n, 8], and the largest, [n, 1]: it is taken out of log Σ exp. */
  const logarithms = (x: Tensor) => {
    const logs = centres.map((centre) => {
      const distance = sub(x, tensor(centre, [1, 2], x));
      return affine(sumPerSample(square(distance)), -0.5 / deviation ** 2).reshape([-1, 1]);
    });
    const all = concat(logs, 1);
    return { all, largest: max(all, { axes: [1], keepDims: true }) };
  };
  return {
    sample(n, random) {
      requireCount('eightGaussians', n, random);
      const u = random.uniformArray(n);
      const points = random.normalArray(2 * n, deviation);
      for (let i = 0; i < n; i++) {
        const [x, y] = centres[Math.min(7, Math.floor(8 * u[i]!))]!;
        points[2 * i]! += x!;
        points[2 * i + 1]! += y!;
      }
      return tensor(points, [n, 2]);
    },
    logDensity(x) {
      requirePoints('eightGaussians', x);
      return tidy(() => {
        const { largest, all } = logarithms(x);
        const rest = log(sumPerSample(exp(sub(all, largest))));
        const constant = -Math.log(8 * 2 * Math.PI * deviation ** 2);
        return affine(add(largest.reshape(rest.shape), rest), 1, constant);
      });
    },
    score(x) {
      requirePoints('eightGaussians', x);
      return tidy(() => {
        const { largest, all } = logarithms(x);
        const shares = exp(sub(all, largest));
        const total = sum(shares, { axes: [1], keepDims: true });
        const centre = matmul(div(shares, total), tensor(centres, [8, 2], x));
        return affine(sub(centre, x), 1 / deviation ** 2);
      });
    },
  };
}
