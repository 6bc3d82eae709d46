/** The derivative suite of conditioners, in float64 and in float32 on wasm; and what else they promise. */
import {
  ActNorm,
  asConditioner,
  BasicCoupling,
  BatchNorm,
  ConditionalResidualBlock,
  type Conditioner,
  CustomBlock,
  copyModule,
  DenseBlock,
  evaluate,
  namedBuffers,
  ResidualBlock,
  ResNet,
  TrainingStep,
  WithContext,
} from '@invnet/layers';
import {
  add,
  affine,
  concat,
  exp,
  memory,
  mul,
  ones,
  RandomStream,
  ShapeError,
  setBackend,
  sum,
  type Tensor,
  tensor,
  tidy,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { assertConditioner } from '../src/index.ts';
import { drawn, growing, conditionerRows as rows } from './conditioner-rows.ts';

/** Moves parameters off their start. */
function scatter(g: Conditioner): void {
  const stream = new RandomStream(17);
  for (const p of g.parameters) {
    using moved = add(p.data, stream.normal(p.shape, 0.2));
    p.assign(moved);
  }
}

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

describe('conditioners in float64', () => {
  it.each(rows)('$name', async (row) => {
    const { context, make } = row;
    const g = make();
    scatter(g);
    const stream = new RandomStream(5);
    const options = {
      x: drawn(row, stream),
      ...(context && { context: stream.normal(context) }),
    };
    await assertConditioner(g, options);
  });
});

describe('conditioners in float32 on wasm', () => {
  it.each(rows)('$name', async (row) => {
    const { context, make } = row;
    const run = async () => {
      const g = make();
      scatter(g);
      const stream = new RandomStream(5);
      const x = drawn(row, stream);
      const c = context && stream.normal(context);
      const { y, saved } = g.forward(x, c);
      const { dx } = g.backward(stream.normal(y.shape), saved);
      const gradients = g.parameters.flatMap((p) => (p.grad ? [p.grad] : []));
      return Promise.all([y, dx, ...gradients].map((t: Tensor) => t.data()));
    };
    const exact = await run();
    await setBackend('wasm');
    (await run()).forEach((values, i) => {
      const size = Math.max(1e-2, ...Array.from(exact[i]!, Math.abs));
      const gap = Math.max(...Array.from(values, (v, j) => Math.abs(v - exact[i]![j]!)));
      expect(gap / size).toBeLessThan(2e-4);
    });
  });
});

describe('shapes, copies and contexts', () => {
  it.each(rows)('$name', (row) => {
    const { shape, context, make } = row;
    const g = make();
    scatter(g);
    const stream = new RandomStream(5);
    const x = drawn(row, stream);
    const c = context && stream.normal(context);
    const y = evaluate(g, x, c);
    expect(g.outputShape(shape)).toEqual(y.shape);
    expect(g.usesContext).toBe(context !== undefined);
    expect(evaluate(copyModule(g), x, c).dataSync()).toEqual(y.dataSync());
    if (g instanceof CustomBlock) return;
    expect(() => g.outputShape([...shape, 1, 1, 1, 1])).toThrow(ShapeError);
  });

  it.each(rows.filter((row) => row.context))('one context for all samples: $name', (row) => {
    const g = row.make();
    const stream = new RandomStream(5);
    const x = drawn(row, stream);
    const one = stream.normal([1, ...row.context!.slice(1)]);
    const all = concat(new Array<Tensor>(row.shape[0]!).fill(one), 0);
    const run = (context: Tensor) => {
      const { y, saved } = g.forward(x, context);
      const { dx, dcontext } = g.backward(y, saved);
      saved.dispose();
      dx.dispose();
      return { y, dcontext: dcontext! };
    };
    const before = memory().tensors;
    const [single, repeated] = [run(one), run(all)];
    g.parameters.forEach((p) => {
      p.zeroGrad();
    });
    expect(memory().tensors - before).toBe(4);
    expect(single.y.dataSync()).toEqual(repeated.y.dataSync());
    const summed = sum(repeated.dcontext, { axes: [0], keepDims: true });
    expect(single.dcontext.dataSync()).toEqual(summed.dataSync());
  });

  it('leaves the shape open where the channels of the context are not known', () => {
    const inner = new ResidualBlock({ inChannels: 3, hidden: 2, outChannels: 4 });
    expect(new WithContext(inner).outputShape([2, 2, 4, 4])).toBeUndefined();
    expect(evaluate(new WithContext(inner), ones([2, 2, 4, 4]), ones([2, 1, 4, 4])).shape).toEqual([
      2, 4, 4, 4,
    ]);
    const plain = new CustomBlock({
      forward: (t) => ({ y: affine(t, 1), saved: {} }),
      backward: (dy) => ({ dx: affine(dy, 1) }),
    });
    expect(plain.outputShape([2, 3])).toBeUndefined();
  });
});

describe('CustomBlock', () => {
  it('calls the dispose function of what was saved, which frees it', () => {
    const constant = affine(ones([1, 2]), 3);
    let calls = 0;
    const g = new CustomBlock({
      forward: (x) => {
        const h = exp(x);
        const dispose = () => {
          calls += 1;
          h.dispose();
        };
        return { y: mul(h, constant), saved: { h, constant, dispose } };
      },
      backward: (dy, saved) => ({ dx: mul(mul(dy, saved.h), saved.constant) }),
    });
    const x = ones([2, 2]);
    const before = memory();
    tidy(() => {
      const { y, saved } = g.forward(x);
      const { dx } = g.backward(y, saved);
      saved.dispose();
      expect(dx.shape).toEqual([2, 2]);
    });
    expect([calls, constant.disposed]).toEqual([1, false]);
    expect(memory().liveBytes).toBe(before.liveBytes);
  });

  it('has the parameters that its functions use', () => {
    const g = growing();
    expect(g.parameters.map((p) => p.name)).toEqual(['k']);
    const coupling = new BasicCoupling({ channels: [1, 1], conditioner: g });
    expect(coupling.parameters.map((p) => p.name)).toEqual(['conditioner.k']);
  });
});

describe('running statistics', () => {
  const numbers = Float64Array.of(1, 2, 3, 6);
  const read = (norm: BatchNorm) =>
    [norm.runningMean, norm.runningVariance].map(({ data }) => data.dataSync()[0]);

  it('move by commit, once per step however often the block is evaluated', () => {
    const norm = new BatchNorm({ channels: 1, momentum: 0.1 });
    const x = tensor(numbers, [2, 1, 2]);
    const step = new TrainingStep();
    step.run(() => {
      evaluate(norm, x);
      evaluate(norm, x);
    });
    expect(read(norm)).toEqual([0, 1]);
    step.commit();
    // Mean 3 and sum of squares 14 about it, over 4 − 1 as the unbiased variance.
    const [mean, variance] = read(norm);
    expect(mean).toBeCloseTo(0.1 * 3, 12);
    expect(variance).toBeCloseTo(0.9 + 0.1 * (14 / 3), 12);
    step.commit();
    expect(read(norm)).toEqual([mean, variance]);
  });

  it('take the mean of what different evaluations give', () => {
    const norm = new BatchNorm({ channels: 1, momentum: 0.5 });
    const step = new TrainingStep();
    for (const factor of [1, 3]) {
      step.run(() => evaluate(norm, affine(tensor(numbers, [4, 1]), factor)));
    }
    step.commit();
    const [mean, variance] = read(norm);
    expect(mean).toBeCloseTo(0.5 * 6, 12);
    expect(variance).toBeCloseTo(0.5 + (0.5 * (14 / 3 + 9 * (14 / 3))) / 2, 12);
  });

  it('know no variance of a single number', () => {
    const norm = new BatchNorm({ channels: 1, momentum: 0.5 });
    const step = new TrainingStep();
    step.run(() => evaluate(norm, tensor(Float64Array.of(4), [1, 1])));
    step.commit();
    expect(read(norm)).toEqual([2, 1]);
  });

  it('normalize by the biased variance in training mode, by the running one in evaluation mode', () => {
    const norm = new BatchNorm({ channels: 1, epsilon: 0 });
    const x = tensor(numbers, [4, 1]);
    const expected = Array.from(numbers, (v) => (v - 3) / Math.sqrt(14 / 4));
    expect(distanceTo(evaluate(norm, x), expected)).toBeLessThan(1e-12);
    norm.training = false;
    expect(distanceTo(evaluate(norm, x), numbers)).toBeLessThan(1e-12);
  });

  it('move neither by backward, nor jvp, nor in evaluation mode, nor outside of a step', () => {
    const net = new ResNet({ inChannels: 1, hidden: 2, outChannels: 1, ndims: 1 });
    const running = [...namedBuffers(net).entries()];
    expect(running.map(([path]) => path)).toContain('blocks.1.0.norm.runningMean');
    expect(net.parameters.filter((p) => p.name.includes('running'))).toEqual([]);
    const state = () =>
      running.map(([, b]) => ('data' in b ? [...(b.data as Tensor).dataSync()] : []));
    const start = state();
    const x = new RandomStream(1).normal([4, 1, 5]);
    const { y, saved } = net.forward(x);
    net.backward(y, saved);
    const step = new TrainingStep();
    step.run(() => {
      net.backward(y, saved);
      net.jvp(x, { x });
    });
    net.training = false;
    step.run(() => evaluate(net, x));
    step.commit();
    expect(state()).toEqual(start);

    net.training = true;
    const dropped = new TrainingStep();
    dropped.run(() => evaluate(net, x));
    dropped.rollback();
    expect(state()).toEqual(start);

    const counted = new TrainingStep();
    counted.run(() => evaluate(net, x));
    counted.commit();
    state().forEach((values, i) => {
      expect(values).not.toEqual(start[i]);
    });
  });

  it('leave nothing behind', () => {
    const net = new ResNet({ inChannels: 1, hidden: 2, outChannels: 1, ndims: 1 });
    const x = new RandomStream(1).normal([4, 1, 5]);
    const before = memory();
    const step = new TrainingStep();
    tidy(() => {
      step.run(() => evaluate(net, x));
    });
    step.commit();
    expect(memory().tensors).toBe(before.tensors);
    expect(memory().liveBytes).toBe(before.liveBytes);
  });
});

function distanceTo(found: Tensor, expected: ArrayLike<number>): number {
  return Math.max(...Array.from(found.dataSync(), (v, i) => Math.abs(v - expected[i]!)));
}

describe('bad input', () => {
  it('is named', () => {
    expect(() =>
      new DenseBlock({ inChannels: 2, hidden: 3, outChannels: 1 }).forward(zeros([2, 3])),
    ).toThrow(/\[N, 2\]/);
    const block = new ConditionalResidualBlock({
      inChannels: 1,
      hidden: 2,
      outChannels: 2,
      contextSize: 3,
      size: [4],
    });
    const x = zeros([2, 1, 4]);
    expect(() => block.forward(x)).toThrow(ValueError);
    expect(() => block.forward(x, zeros([2, 4]))).toThrow(/3 numbers each/);
    expect(() => block.forward(x, zeros([3, 3]))).toThrow(ShapeError);
    expect(() => block.forward(zeros([2, 1, 5]), zeros([2, 3]))).toThrow(/spatial sizes \[4\]/);
    const couple = new BasicCoupling({ channels: [1, 1], contextChannels: 2, ndims: 1 });
    expect(() => couple.forward([x, x])).toThrow(/expected a context/);
    expect(() => couple.forward([x, x], zeros([3, 2, 4]))).toThrow(/same batch size/);
    expect(() => couple.forward([x, x], zeros([2, 2, 5]))).toThrow(
      /same batch size and resolution/,
    );
    expect(() => couple.forward([x, x], zeros([2, 3, 4]))).toThrow(
      /context \[2, 3, 4\] for data \[2, 1, 4\]; expected \[2, 2, 4\]/,
    );
    expect(() => asConditioner(new ActNorm({ channels: 1 })).forward(x, x)).toThrow(
      /nothing here uses one/,
    );
    const plain = new CustomBlock({
      forward: (t) => ({ y: affine(t, 1), saved: {} }),
      backward: (dy) => ({ dx: affine(dy, 1) }),
    });
    expect(() => plain.jvp(x, {})).toThrow(/made without jvp/);
    expect(
      () => new ResidualBlock({ inChannels: 1, hidden: 2, outChannels: 1, kernel1: 4 }),
    ).toThrow(/expected an odd size/);
  });
});
