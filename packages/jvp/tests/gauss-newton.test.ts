/** The Gauss–Newton operator where the curvature is known, and a step that it takes. */
import {
  ActNorm,
  AffineLayer,
  Conv1x1,
  compose,
  gradients,
  initialize,
  zeroGrad,
} from '@invnet/layers';
import { Glow } from '@invnet/networks';
import {
  affine,
  clone,
  memory,
  ones,
  RandomStream,
  setBackend,
  type Tensor,
  tensor,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  addInPlace,
  cg,
  copyVector,
  dotTest,
  gaussNewton,
  innerProduct,
  randomOf,
  scaleInPlace,
  type Vector,
  vectorNorm,
} from '../src/index.ts';
import { scatterParameters } from './rows.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

/** The second derivative of a loss that y does not enter. */
function mapZero(dy: Vector): Vector {
  const zero = copyVector(dy);
  scaleInPlace(zero, 0);
  return zero;
}

describe('gaussNewton', () => {
  it('is the exact second derivative of a scale and a shift', () => {
    // y = s x + b with one number per sample: L = mean(½y² − log|s|).
    const layer = new AffineLayer({ channels: 1 });
    layer.scale.assign(tensor([1.5], [1]));
    const xs = [0.3, -1, 2];
    const gn = gaussNewton(layer, tensor(xs, [3, 1]), { with: 'parameters' });
    const column = (u: Tensor[]) => (gn.apply(u) as Tensor[]).map((t) => t.dataSync()[0]!);
    const mean = (f: (x: number) => number) => xs.reduce((s, x) => s + f(x), 0) / 3;
    const [ss, sb] = column([tensor([1], [1]), tensor([0], [1])]);
    const [bs, bb] = column([tensor([0], [1]), tensor([1], [1])]);
    expect(ss).toBeCloseTo(mean((x) => x * x) + 1 / 1.5 ** 2, 12);
    expect(sb).toBeCloseTo(
      mean((x) => x),
      12,
    );
    expect(bs).toBeCloseTo(sb!, 12);
    expect(bb).toBeCloseTo(1, 12);
  });

  it('is the exact second derivative in the input of a linear network', async () => {
    // ℓ does not depend on x, so L = mean(½‖A x + b‖²) has the Hessian AᵀA/N, and its gradient
    // differences give it.
    const norm = new ActNorm({ channels: 3 });
    norm.scale.assign(tensor([2, -0.5, 1.5], [3]));
    const net = compose(norm, new Conv1x1({ channels: 3, random: new RandomStream(2) }));
    const random = new RandomStream(3);
    const [x, u] = [random.normal([2, 3, 4]), random.normal([2, 3, 4])];
    const gradientAt = (step: number) => {
      using moved = clone(x);
      addInPlace(moved, u, step);
      const { y } = net.forward(moved);
      const { dx } = net.backward(y, affine(y, 1 / 2), { dlogdet: affine(ones([2]), -1 / 2) });
      return dx;
    };
    const expected = gradientAt(1);
    addInPlace(expected, gradientAt(0), -1);
    const found = gaussNewton(net, x, { with: 'input' }).apply(u);
    addInPlace(found, expected, -1);
    expect(await vectorNorm(found)).toBeLessThan(1e-12 * (await vectorNorm(expected)));
  });

  it('scales to the exact curvature of one ActNorm scale over all positions', () => {
    // −ℓ = −P log|s| has the second derivative P/s², and ∇ℓ∇ℓᵀ = P²/s²: a weight of 1/P fits.
    const norm = new ActNorm({ channels: 1 });
    norm.scale.assign(tensor([-1.5], [1]));
    const options = { with: 'parameters', parameters: [norm.scale], logdetWeight: 1 / 5 } as const;
    const gn = gaussNewton(norm, ones([1, 1, 5]), { ...options, hessian: mapZero });
    const [found] = gn.apply([tensor([1], [1])]);
    expect(found!.dataSync()[0]).toBeCloseTo(5 / 1.5 ** 2, 12);
  });

  it('takes an H that hands its argument back', async () => {
    const norm = new ActNorm({ channels: 2 });
    norm.scale.assign(tensor([2, 3], [2]));
    const gn = gaussNewton(norm, ones([1, 2]), { with: 'input', hessian: (dy) => dy });
    const u = ones([1, 2]);
    const before = memory().liveBytes;
    const found = gn.apply(u);
    expect([...found.dataSync()]).toEqual([4, 9]);
    found.dispose();
    expect(memory().liveBytes).toBe(before);
  });

  it('has no negative curvature without damping', async () => {
    const net = new Glow({ channels: 2, hidden: 4, scales: 1, steps: 2, ndims: 0 });
    const x = new RandomStream(1).normal([4, 2]);
    await initialize(net, x);
    scatterParameters(net);
    const gn = gaussNewton(net, x, { with: 'parameters' });
    for (let seed = 0; seed < 20; seed++) {
      const random = new RandomStream(seed);
      const u = gn.domain as readonly { shape: readonly number[] }[];
      const direction = u.map(({ shape }) => random.normal(shape));
      const product = gn.apply(direction);
      const size = (await vectorNorm(product)) * (await vectorNorm(direction));
      expect(await innerProduct(direction, product)).toBeGreaterThan(-1e-12 * size);
    }
  });

  it('is symmetric and positive, and frees what it makes', async () => {
    const net = new Glow({ channels: 2, hidden: 4, scales: 1, steps: 2, ndims: 0 });
    const x = new RandomStream(1).normal([4, 2]);
    await initialize(net, x);
    scatterParameters(net);
    const before = memory().liveBytes;
    const gn = gaussNewton(net, x, { with: 'both', damping: 0.1 });
    expect((await dotTest(gn)).error).toBeLessThan(1e-11);
    const u = randomOf(gn.domain, new RandomStream(2)) as Parameters<typeof gn.apply>[0];
    const Gu = gn.apply(u);
    expect(await innerProduct(u, Gu)).toBeGreaterThan(0);
    gn.dispose();
    for (const t of [u[0], ...u[1], Gu[0], ...Gu[1]]) t.dispose();
    expect(memory().liveBytes).toBe(before);
  });

  it('lowers the loss further than the gradient in as many steps', async () => {
    const descend = async (newton: boolean) => {
      const net = new Glow({
        channels: 2,
        hidden: 8,
        scales: 1,
        steps: 2,
        ndims: 0,
        random: new RandomStream(5),
      });
      const x = new RandomStream(1).normal([32, 2]);
      await initialize(net, x);
      scatterParameters(net);
      const loss = () => {
        const { y, logdet } = net.forward(x);
        const squares = [...y.dataSync()].reduce((s, v) => s + v * v, 0);
        return (squares / 2 - [...logdet.dataSync()].reduce((s, v) => s + v, 0)) / 32;
      };
      for (let iteration = 0; iteration < 8; iteration++) {
        const { y } = net.forward(x);
        zeroGrad(net.parameters);
        net.backward(y, affine(y, 1 / 32), { dlogdet: affine(ones([32]), -1 / 32) });
        let direction: readonly Tensor[] = gradients(net.parameters);
        if (newton) {
          const gn = gaussNewton(net, x, { with: 'parameters', damping: 0.1 });
          direction = (await cg(gn, direction, { tolerance: 1e-3 })).x;
        }
        const start = loss();
        const move = (length: number) =>
          net.parameters.forEach((p, i) => {
            addInPlace(p.data, direction[i]!, length);
          });
        for (let length = 1; length > 1e-3; length /= 2) {
          move(-length);
          if (loss() < start) break;
          move(length);
        }
      }
      return loss();
    };
    expect(await descend(true)).toBeLessThan(await descend(false));
  });
});
