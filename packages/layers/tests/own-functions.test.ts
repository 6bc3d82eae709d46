/** Layers of functions with their inverse, and of maps of pairs on the halves of any axis. */
import {
  add,
  affine,
  concat,
  RandomStream,
  ShapeError,
  setBackend,
  split,
  type Tensor,
  ValueError,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  AdditiveCoupling,
  AxisHalves,
  CustomBijection,
  compose,
  DenseBlock,
  HaarSqueeze,
  Identity,
  type Keep,
  keeping,
  Parallel,
  reverse,
  Swapped,
} from '../src/index.ts';

const random = new RandomStream(5);

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const doubling = {
  forward: (x: Tensor) => affine(x, 2),
  inverse: (y: Tensor) => affine(y, 0.5),
  backward: (_: Tensor, dy: Tensor) => ({ dx: affine(dy, 2) }),
};

describe('a function with its inverse', () => {
  it('recomputes its input, or keeps it', () => {
    let inverted = 0;
    const f = new CustomBijection({
      ...doubling,
      inverse: (y) => {
        inverted += 1;
        return doubling.inverse(y);
      },
    });
    const x = random.normal([2, 3]);
    const pass = (keep: Keep) =>
      keeping(keep, () => {
        const { y } = f.forward(x);
        return [...f.backward(y, y).x.dataSync()];
      });
    expect(pass('nothing')).toEqual([...x.dataSync()]);
    expect(inverted).toBe(1);
    expect(pass('inputs')).toEqual([...x.dataSync()]);
    expect(inverted).toBe(1);
  });

  it('says which of its parts is missing', () => {
    const f = new CustomBijection(doubling);
    const x = random.normal([2, 3]);
    expect(() => reverse(f).backward(x, x)).toThrow(
      /without backwardInverse.*gradients of its inv/,
    );
    expect(() => f.jvp(x, { x })).toThrow(/without jvp, which Jacobians need/);
    expect(() => f.jvpInverse(x, { x })).toThrow(/without jvpInverse/);
  });

  it('is made of functions of these names alone, and of what they are to give', () => {
    const { inverse: _, ...half } = doubling;
    expect(() => new CustomBijection(half as typeof doubling)).toThrow(ValueError);
    const misspelt = { ...doubling, jacobian: () => 1 };
    expect(() => new CustomBijection(misspelt)).toThrow(/no option 'jacobian'/);
    const x = random.normal([2, 3]);
    const shrinking = new CustomBijection({ ...doubling, forward: () => random.normal([2, 2]) });
    expect(() => shrinking.forward(x)).toThrow(/gave y of shape \[2, 2\]; expected \[2, 3\]/);
  });
});

describe('halves along an axis', () => {
  const block = () => new DenseBlock({ inChannels: 3, hidden: 4, outChannels: 3, random });

  it('hold a reversible block', () => {
    const [f, g] = [block(), block()];
    const inner = compose(new Swapped(new AdditiveCoupling(f)), new AdditiveCoupling(g));
    const x = random.normal([2, 6]);
    const { y } = new AxisHalves({ inner, axis: 1 }).forward(x);
    const [x1, x2] = split(x, 1, [3, 3]);
    const y1 = add(x1!, f.forward(x2!).y);
    const y2 = add(x2!, g.forward(y1).y);
    expect([...y.dataSync()]).toEqual([...concat([y1, y2], 1).dataSync()]);
  });

  it('are two at least, of one shape on both sides', () => {
    const pass = new Parallel(new Identity(), new Identity());
    expect(() => new AxisHalves({ inner: pass, axis: 0 })).toThrow(ValueError);
    const rows = new AxisHalves({ inner: pass, axis: 2 });
    expect(() => rows.forward(random.normal([2, 3]))).toThrow(ShapeError);
    expect(() => rows.forward(random.normal([2, 3, 1]))).toThrow(/at least 2 entries along axis 2/);
    const inner = new Parallel(new HaarSqueeze(), new Identity());
    expect(() => new AxisHalves({ inner, axis: 2 }).forward(random.normal([2, 3, 4]))).toThrow(
      /the halves became .* expected halves of one shape, along axis 2/,
    );
  });
});
