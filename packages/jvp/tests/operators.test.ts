/** Operators, their algebra, and the Jacobians of networks. */
import { ActNorm, HyperbolicLayer, zeroGrad } from '@invnet/layers';
import { ConditionalGlow, Glow } from '@invnet/networks';
import {
  matmul,
  memory,
  ones,
  RandomStream,
  ShapeError,
  setBackend,
  type Tensor,
  tensor,
} from '@invnet/tensor';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  addInPlace,
  addOperators,
  assertAdjoint,
  composeOperators,
  dotTest,
  fromArrays,
  identityOperator,
  jacobian,
  type LinearOperator,
  makeOperator,
  OperatorError,
  operatorNorm,
  scaleOperator,
  toArrays,
} from '../src/index.ts';
import { scatterParameters } from './rows.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

type Dense = LinearOperator<Tensor, Tensor>;

/** A dense matrix as an operator on columns, and its numbers. */
function dense(rows: number, cols: number, seed: number) {
  const a = new RandomStream(seed).normal([rows, cols]);
  const op: Dense = makeOperator({
    domain: { shape: [cols, 1] },
    range: { shape: [rows, 1] },
    apply: (u) => matmul(a, u),
    applyAdjoint: (v) => matmul(a, v, { transposeA: true }),
  });
  return { op, a };
}

const numbers = (t: Tensor) => [...t.dataSync()];

describe('the algebra of operators', () => {
  it('keeps its laws', async () => {
    const size = fc.integer({ min: 1, max: 4 });
    await fc.assert(
      fc.asyncProperty(size, size, size, fc.nat(1000), async (m, n, k, seed) => {
        const a = dense(m, n, seed).op;
        const b = dense(m, n, seed + 1).op;
        const c = dense(n, k, seed + 2).op;
        const product = composeOperators(addOperators(a, scaleOperator(b, -0.5)), c);
        expect(product.adjoint.adjoint).toBe(product);
        expect((await dotTest(product, { seed })).error).toBeLessThan(1e-12);
        const u = new RandomStream(seed).normal([k, 1]);
        const cu = c.apply(u);
        const expected = a.apply(cu);
        addInPlace(expected, b.apply(cu), -0.5);
        const found = numbers(product.apply(u));
        numbers(expected).forEach((v, i) => {
          expect(found[i]).toBeCloseTo(v, 12);
        });
        const same = composeOperators(a, identityOperator<Tensor>(a.domain)).apply(cu);
        expect(numbers(same)).toEqual(numbers(a.apply(cu)));
      }),
      { numRuns: 20, seed: 1 },
    );
  });

  it('frees what it makes', () => {
    const a = dense(3, 2, 1).op;
    const product = composeOperators(a.adjoint, addOperators(a, scaleOperator(a, 2)));
    const u = ones([2, 1]);
    const before = memory().liveBytes;
    product.apply(u).dispose();
    product.adjoint.apply(u).dispose();
    expect(memory().liveBytes).toBe(before);
  });

  it('names what does not fit', () => {
    const a = dense(3, 2, 1).op;
    expect(() => composeOperators(a, a)).toThrow(/range of the inner one \[3, 1\].*\[2, 1\]/);
    expect(() => addOperators(a, a.adjoint)).toThrow(OperatorError);
    expect(() => a.apply(ones([3, 1]))).toThrow(ShapeError);
    expect(() => a.adjoint.apply(ones([2, 1]))).toThrow(/\[2, 1\]; expected \[3, 1\]/);
  });

  it('sees an adjoint that is none', async () => {
    const { op, a } = dense(2, 2, 3);
    await assertAdjoint(op, { tolerance: 1e-12 });
    const broken: Dense = makeOperator({
      domain: op.domain,
      range: op.range,
      apply: (u) => matmul(a, u),
      applyAdjoint: (v) => matmul(a, v),
    });
    await expect(assertAdjoint(broken)).rejects.toThrow(/adjoint is not that of the map/);
  });

  it('goes to plain arrays and back', async () => {
    const { op } = dense(3, 2, 4);
    const plain = toArrays(op);
    expect([plain.rows, plain.cols]).toEqual([3, 2]);
    const columns = [await plain.apply([1, 0]), await plain.apply([0, 1])];
    const back = fromArrays({
      rows: 3,
      cols: 2,
      apply: (u) => columns[0]!.map((v, i) => v * u[0]! + columns[1]![i]! * u[1]!),
      adjoint: (v) => columns.map((c) => c.reduce((s, x, i) => s + x * v[i]!, 0)),
    });
    expect((await dotTest(back)).error).toBeLessThan(1e-14);
    await expect(plain.apply([1])).rejects.toThrow(/1 numbers; expected 2/);
  });

  it('has a norm', async () => {
    const diagonal: Dense = makeOperator({
      domain: { shape: [3] },
      range: { shape: [3] },
      apply: (u) =>
        tensor(
          Float64Array.from(u.dataSync(), (v, i) => v * [3, -7, 1][i]!),
          [3],
        ),
      applyAdjoint: (u) =>
        tensor(
          Float64Array.from(u.dataSync(), (v, i) => v * [3, -7, 1][i]!),
          [3],
        ),
    });
    expect(await operatorNorm(diagonal, { tolerance: 1e-10 })).toBeCloseTo(7, 6);
    expect(await operatorNorm(scaleOperator(diagonal, 0))).toBe(0);
  });
});

describe('jacobian', () => {
  const makeGlow = () => {
    const net = new Glow({
      channels: 1,
      hidden: 4,
      scales: 2,
      steps: 1,
      random: new RandomStream(3),
    });
    const x = new RandomStream(1).normal([2, 1, 4, 8]);
    net.forward(x);
    scatterParameters(net);
    return { net, x };
  };

  it.each(['input', 'parameters', 'both'] as const)(
    'of Glow with %s has its adjoint',
    async (moving) => {
      const { net, x } = makeGlow();
      const before = memory().liveBytes;
      const J = jacobian(net, x, { with: moving, logdet: true });
      expect((await dotTest(J)).error).toBeLessThan(1e-11);
      J.dispose();
      expect(memory().liveBytes).toBe(before);
    },
  );

  it('is the derivative along a direction of input and parameters', () => {
    const { net, x } = makeGlow();
    const J = jacobian(net, x, { with: 'both' });
    const random = new RandomStream(8);
    const dx = random.normal(x.shape);
    const list = J.parameters.map((p) => random.normal(p.shape));
    const exact = numbers(J.apply([dx, list]));
    const h = 1e-6;
    const at = (step: number) => {
      const moved = tensor(
        Float64Array.from(x.dataSync(), (v, i) => v + step * dx.dataSync()[i]!),
        x.shape,
      );
      J.parameters.forEach((p, i) => {
        addInPlace(p.data, list[i]!, step);
      });
      const { y } = net.forward(moved);
      J.parameters.forEach((p, i) => {
        addInPlace(p.data, list[i]!, -step);
      });
      return numbers(y);
    };
    const [after, before] = [at(h), at(-h)];
    const size = Math.max(...exact.map(Math.abs));
    exact.forEach((v, i) => {
      expect(Math.abs((after[i]! - before[i]!) / (2 * h) - v) / size).toBeLessThan(1e-6);
    });
  });

  it('leaves gathered gradients alone, and frozen parameters out', () => {
    const { net, x } = makeGlow();
    const [first] = net.parameters;
    first!.attachGrad(ones(first!.shape));
    const J = jacobian(net, x, { with: 'parameters' });
    J.adjoint.apply(new RandomStream(2).normal(x.shape));
    expect(numbers(first!.grad!).every((v) => v === 1)).toBe(true);
    zeroGrad(net.parameters);
    first!.frozen = true;
    const rest = jacobian(net, x, { with: 'parameters' });
    expect(rest.parameters).toHaveLength(net.parameters.length - 1);
    expect(() => jacobian(net, x, { with: 'parameters', parameters: [first!] })).toThrow(
      /scales\.0\.steps\.0\.actnorm\.scale' is frozen/,
    );
    expect(() => J.apply([ones([1])])).toThrow(ShapeError);
  });

  it('works on pairs and with a context', async () => {
    const layer = new HyperbolicLayer({ channels: 1, ndims: 1, resolution: 'halve' });
    const random = new RandomStream(4);
    const pair = [random.normal([2, 1, 6]), random.normal([2, 1, 6])] as const;
    expect((await dotTest(jacobian(layer, pair, { with: 'both' }))).error).toBeLessThan(1e-11);
    const net = new ConditionalGlow({
      channels: 2,
      contextChannels: 1,
      scales: 1,
      ndims: 0,
      hidden: 3,
      steps: 1,
    });
    const x = random.normal([3, 2]);
    const context = random.normal([3, 1]);
    const J = jacobian(net, x, { with: 'both', context, logdet: true });
    expect((await dotTest(J)).error).toBeLessThan(1e-11);
  });

  it('of ActNorm is its scale', () => {
    const norm = new ActNorm({ channels: 2 });
    norm.scale.assign(tensor([2, 3], [2]));
    const J = jacobian(norm, ones([1, 2]), { with: 'input' });
    expect(numbers(J.apply(ones([1, 2])))).toEqual([2, 3]);
  });
});
