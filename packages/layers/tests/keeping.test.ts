/** What forwards keep for their backwards: how often conditioners are evaluated, which states come back, and memory. */
import {
  add,
  affine,
  clone,
  memory,
  RandomStream,
  setBackend,
  sub,
  type Tensor,
  ValueError,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  ActNorm,
  AdditiveCoupling,
  type Bijection,
  Conv1x1,
  CustomBlock,
  DenseBlock,
  evaluate,
  GlowCoupling,
  type Keep,
  Keeping,
  keeping,
  type Pair,
  PairBijection,
  Parallel,
  Sequential,
  zeroGrad,
} from '../src/index.ts';

const random = new RandomStream(5);

/** Notes each of its evaluations. */
class Counted extends DenseBlock {
  evaluations = 0;

  protected override apply(x: Tensor) {
    this.evaluations += 1;
    return super.apply(x);
  }
}

/** Steps like Glow's on vectors of four channels, and their conditioners. */
function flow(steps: number) {
  const blocks = Array.from(
    { length: steps },
    () => new Counted({ inChannels: 2, hidden: 4, outChannels: 4, random }),
  );
  const network = new Sequential(
    blocks.map(
      (conditioner) =>
        new Sequential({
          actnorm: new ActNorm({ channels: 4 }),
          mix: new Conv1x1({ channels: 4, random }),
          coupling: new GlowCoupling({ channels: 4, conditioner }),
        }),
    ),
  );
  const evaluations = () => blocks.map((block) => block.evaluations);
  return { network, evaluations };
}

/** (x₁, x₂) ↦ (x₁, x₂ + g(x₁) + g(1 − x₁)), whose backward goes by the order of the forward. */
class Twice extends PairBijection {
  readonly block: DenseBlock;

  constructor(block: DenseBlock) {
    super();
    this.block = block;
  }

  get options() {
    return { block: this.block };
  }

  protected apply([x1, x2]: Pair) {
    const once = add(x2, evaluate(this.block, x1));
    return { y: [x1, add(once, evaluate(this.block, affine(x1, -1, 1)))] as const };
  }

  protected applyBackward([x1, y2]: Pair, [dy1, dy2]: Pair) {
    const first = this.block.forward(x1);
    const second = this.block.forward(affine(x1, -1, 1));
    const dx1 = add(
      this.block.backward(dy2, first.saved).dx,
      affine(this.block.backward(dy2, second.saved).dx, -1),
    );
    const x2 = sub(sub(y2, first.y), second.y);
    first.saved.dispose();
    second.saved.dispose();
    return { x: [x1, x2] as const, dx: [add(dy1, dx1), dy2] as const };
  }

  protected invert(): never {
    throw new ValueError('not asked for');
  }

  protected invertBackward(): never {
    throw new ValueError('not asked for');
  }

  protected applyTangent(): never {
    throw new ValueError('not asked for');
  }

  protected invertTangent(): never {
    throw new ValueError('not asked for');
  }
}

/** A forward and its backward. */
function pass(network: Bijection, x: Tensor) {
  const { y, logdet } = network.forward(x);
  const result = network.backward(y, y, { dlogdet: logdet });
  return { y, logdet, ...result };
}

function passBack(network: Bijection, y: Tensor) {
  const { x, logdet } = network.inverse(y);
  return { x, logdet, ...network.backwardInverse(x, x, { dlogdet: logdet }) };
}

describe.each(['reference', 'wasm'] as const)('on %s, a conditioner', (backend) => {
  beforeEach(() => setBackend(backend));

  it.each([
    ['nothing', 2],
    ['inputs', 1],
    ['all', 1],
  ] as const)('with %s kept is evaluated %i times', (keep, times) => {
    const { network, evaluations } = flow(2);
    const x = random.normal([3, 4]);
    keeping(keep, () => pass(network, x));
    expect(evaluations()).toEqual([times, times]);
    keeping(keep, () => passBack(network, x));
    expect(evaluations()).toEqual([2 * times, 2 * times]);
  });

  it.each(['inputs', 'all'] as const)('with %s kept has the same gradients', (keep) => {
    const { network } = flow(3);
    const x = random.normal([3, 4]);
    const gradients = (keep: Keep) => {
      zeroGrad(network.parameters);
      const { dx } = keeping(keep, () => pass(network, x));
      return [dx, ...network.parameters.map((p) => p.grad!)].flatMap((t) => [...t.dataSync()]);
    };
    const expected = gradients('nothing');
    const largest = Math.max(...expected.map(Math.abs));
    gradients(keep).forEach((g, i) => {
      expect(Math.abs(g - expected[i]!)).toBeLessThan(1e-5 * largest);
    });
  });
});

describe('what is kept', () => {
  beforeEach(() => setBackend('reference', { dtype: 'float32' }));

  it('is the state itself with all, and not what comes near it', () => {
    const { network } = flow(4);
    const x = random.normal([3, 4]);
    const found = (keep: Keep) => [...keeping(keep, () => pass(network, x)).x.dataSync()];
    expect(found('all')).toEqual([...x.dataSync()]);
    expect(found('nothing')).not.toEqual([...x.dataSync()]);
  });

  it('differs by path; the first pattern that matches counts', () => {
    const { network, evaluations } = flow(4);
    const x = random.normal([3, 4]);
    keeping({ '1.coupling': 'all', '2.coupling.conditioner': 'inputs' }, () => pass(network, x));
    expect(evaluations()).toEqual([2, 1, 1, 2]);
    keeping({ '1.*': 'nothing', '**': 'inputs' }, () => pass(network, x));
    expect(evaluations()).toEqual([3, 3, 2, 3]);
  });

  it('serves one backward, of the very output', () => {
    const { network, evaluations } = flow(1);
    const x = random.normal([3, 4]);
    keeping('inputs', () => {
      const { y } = network.forward(x);
      network.backward(clone(y), y);
      expect(evaluations()).toEqual([2]);
      network.backward(y, y);
      expect(evaluations()).toEqual([2]);
      network.backward(y, y);
      expect(evaluations()).toEqual([3]);
    });
  });

  it('is told apart where one map stands beside itself', () => {
    const { network } = flow(2);
    const beside = new Parallel(network, network);
    const pair = [random.normal([3, 4]), random.normal([3, 4])] as const;
    const gradients = (keep: Keep) => {
      zeroGrad(beside.parameters);
      keeping(keep, () => {
        const { y } = beside.forward(pair);
        beside.backward(y, y);
      });
      return beside.parameters.flatMap((p) => [...p.grad!.dataSync()]);
    };
    const expected = gradients('nothing');
    gradients('inputs').forEach((g, i) => {
      expect(g).toBeCloseTo(expected[i]!, 3);
    });
  });

  it('is not mistaken where a layer evaluates one block at two places', () => {
    const block = new DenseBlock({ inChannels: 2, hidden: 4, outChannels: 2, random });
    const layer = new Twice(block);
    const pair = [random.normal([3, 2]), random.normal([3, 2])] as const;
    const gradients = (keep: Keep) => {
      const { dx } = keeping(keep, () => {
        const { y } = layer.forward(pair);
        return layer.backward(y, y);
      });
      return dx.flatMap((t) => [...t.dataSync()]);
    };
    expect(gradients('inputs')).toEqual(gradients('nothing'));
  });

  it('lives until its backward, which may come in a later run', async () => {
    const { network, evaluations } = flow(3);
    const x = random.normal([3, 4]);
    const before = memory().liveBytes;
    const passes = async (keep: Keep) => {
      using kept = new Keeping(keep);
      const { y, logdet } = kept.run(() => network.forward(x));
      const held = memory().liveBytes - before;
      const dy = affine(y, 2);
      await dy.data();
      const { x: again, dx } = kept.run(() => network.backward(y, dy));
      for (const t of [y, logdet, dy, again, dx]) t.dispose();
      zeroGrad(network.parameters);
      expect(memory().liveBytes).toBe(before);
      return held;
    };
    const held = [await passes('nothing'), await passes('inputs'), await passes('all')];
    expect(evaluations()).toEqual([4, 4, 4]);
    expect(held[0]).toBeLessThan(held[1]!);
    expect(held[1]).toBeLessThan(held[2]!);
  });

  it('is freed when no backward comes', () => {
    const { network } = flow(3);
    const x = random.normal([3, 4]);
    const before = memory();
    keeping('all', () => {
      for (const t of Object.values(network.forward(x))) t.dispose();
    });
    expect(memory()).toMatchObject({ liveBytes: before.liveBytes, tensors: before.tensors });
    expect(memory()).toMatchObject({ liveBytes: before.liveBytes, tensors: before.tensors });
  });

  it('is freed once by a block that frees what it left itself', () => {
    let [left, freed] = [0, 0];
    const block = new CustomBlock({
      forward: (x) => {
        left += 1;
        const dispose = () => {
          freed += 1;
        };
        return { y: affine(x, 2), saved: { dispose } };
      },
      backward: (dy) => ({ dx: affine(dy, 2) }),
    });
    const coupling = new AdditiveCoupling(block);
    const pair = [random.normal([3, 2]), random.normal([3, 2])] as const;
    const forward = () => coupling.forward(pair).y;
    keeping('inputs', () => {
      const y = forward();
      expect([left, freed]).toEqual([1, 0]);
      coupling.backward(y, y);
      expect([left, freed]).toEqual([1, 1]);
      forward();
    });
    expect(left).toBe(2);
    expect(freed).toBe(2);
  });

  it('is one of three levels, for paths that there are, of what is synchronous', () => {
    const { network } = flow(1);
    const x = random.normal([3, 4]);
    expect(() => keeping('everything' as Keep, () => x)).toThrow(/keep is 'everything'.*'inputs'/);
    expect(() => keeping({ '0': 'some' } as unknown as Keep, () => x)).toThrow(ValueError);
    expect(() => keeping({ '7': 'all' }, () => pass(network, x))).toThrow(
      /no module of Sequential matches '7'.*'0.coupling.conditioner'/,
    );
    expect(() => keeping('all', async () => x)).toThrow(/promise/);
  });
});
