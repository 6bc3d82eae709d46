/**
 * Densities in the plane on which flows are tried out. Samples have shape [n, 2] and live on the
 * current backend; the sampling itself runs on the host, so a seed gives the same samples anywhere.
 */
import {
  add,
  affine,
  formatShape,
  mul,
  type RandomStream,
  ShapeError,
  slice,
  square,
  sub,
  sumPerSample,
  type Tensor,
  tensor,
  tidy,
  ValueError,
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
 */
export function banana({ bend = 1, thickness = 0.5 }: BananaOptions = {}): Density {
  if (!(thickness > 0 && Number.isFinite(thickness) && Number.isFinite(bend))) {
    throw new ValueError(
      `banana: thickness ${thickness} and bend ${bend}; expected finite numbers, thickness above 0.`,
    );
  }
  return {
    sample(n, random) {
      const points = random.normalArray(2 * requireCount('banana', n));
      for (let i = 0; i < points.length; i += 2) {
        points[i + 1] = thickness * points[i + 1]! + bend * (points[i]! ** 2 - 1);
      }
      return tensor(points, [n, 2]);
    },
    logDensity(x) {
      if (x.rank !== 2 || x.shape[1] !== 2) {
        throw new ShapeError(`banana: points of shape ${formatShape(x.shape)}; expected [n, 2].`);
      }
      return tidy(() => {
        const z1 = slice(x, 1, 0, 1);
        const parabola = affine(square(z1), bend, -bend);
        const z2 = affine(sub(slice(x, 1, 1, 1), parabola), 1 / thickness);
        const squares = sumPerSample(add(mul(z1, z1), mul(z2, z2)));
        return affine(squares, -0.5, -Math.log(2 * Math.PI * thickness));
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
export function swirl({ turns = 1.5, radius = 2, noise = 0.1 }: SwirlOptions = {}): Samplable {
  if (!(turns > 0 && radius > 0 && noise >= 0 && Number.isFinite(turns + radius + noise))) {
    throw new ValueError(
      `swirl: turns ${turns}, radius ${radius} and noise ${noise}; expected finite numbers, the ` +
        'first two above 0, noise not below.',
    );
  }
  return {
    sample(n, random) {
      const u = random.uniformArray(requireCount('swirl', n));
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

function requireCount(name: string, n: number): number {
  if (!Number.isInteger(n) || n < 1) {
    throw new ValueError(`${name}: sample of ${n} points; expected a whole number of at least 1.`);
  }
  return n;
}
