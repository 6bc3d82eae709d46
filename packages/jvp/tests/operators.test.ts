/** Operators and their algebra. */
import {
  affine,
  InvNetError,
  matmul,
  memory,
  mul,
  ones,
  RandomStream,
  ShapeError,
  setBackend,
  type Tensor,
  tensor,
  ValueError,
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
  type LinearOperator,
  makeOperator,
  OperatorError,
  operatorNorm,
  operatorOf,
  scaleOperator,
  toArrays,
} from '../src/index.ts';

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
    await expect(assertAdjoint(broken, null as never)).rejects.toThrow(/expected \{ trials, seed/);
    await expect(assertAdjoint(broken)).rejects.toThrow(/adjoint is not that of the map/);
  });

  it('is that of a map on batches, with both sides in the message where it is not', async () => {
    const a = new RandomStream(4).normal([3, 2]);
    const product = (by: Tensor, transposeB: boolean) => (x: Tensor) =>
      matmul(x, by, { transposeB });
    const map = { domain: [2], range: [3], forward: product(a, true), adjoint: product(a, false) };
    const A = operatorOf(map, 4);
    expect([A.domain, A.range]).toEqual([{ shape: [4, 2] }, { shape: [4, 3] }]);
    await assertAdjoint(A, { tolerance: 1e-12 });
    const halved = { ...map, adjoint: (x: Tensor) => affine(map.adjoint(x), 0.5) };
    const { forward, adjoint } = await dotTest(operatorOf(halved));
    const message = `⟨A u, v⟩ is ${forward} and ⟨u, Aᵀ v⟩ is ${adjoint}`;
    await expect(assertAdjoint(operatorOf(halved))).rejects.toThrow(message);
    expect(() => operatorOf({ ...map, range: [0] })).toThrow(ShapeError);
    expect(() => operatorOf(A as never)).toThrow(/the map's forward/);
  });

  it('is sought with options', async () => {
    await expect(assertAdjoint(dense(2, 2, 1).op, null as never)).rejects.toThrow(ValueError);
  });

  it('sees an operator that gave NaN once', async () => {
    let calls = 0;
    const op = makeOperator<Tensor, Tensor>({
      domain: { shape: [2] },
      range: { shape: [2] },
      apply: (u) => mul(u, tensor(calls++ === 0 ? Number.NaN : 1)),
      applyAdjoint: (v) => affine(v, 1),
    });
    await expect(assertAdjoint(op, { trials: 3 })).rejects.toThrow(/⟨A u, v⟩ is NaN/);
    await expect(dotTest(op, { trials: 0 })).rejects.toThrow(/trials is 0/);
  });

  it('frees what it made when a part throws', async () => {
    const fine = dense(2, 2, 1).op;
    const fail = (): Tensor => {
      throw new Error('broken');
    };
    const broken: Dense = makeOperator({
      domain: fine.domain,
      range: fine.range,
      apply: fail,
      applyAdjoint: fail,
    });
    const u = ones([2, 1]);
    const before = memory().liveBytes;
    expect(() => composeOperators(broken, fine).apply(u)).toThrow(/broken/);
    expect(() => addOperators(fine, broken).apply(u)).toThrow(/broken/);
    await expect(dotTest(broken)).rejects.toThrow(/broken/);
    await expect(operatorNorm(broken)).rejects.toThrow(/broken/);
    expect(memory().liveBytes).toBe(before);
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

  it('refuses what is no array of that size before it is copied', () => {
    for (const result of [null, 1, [1], { length: 2 ** 32 }]) {
      const f = () => result as never;
      const op = fromArrays({ rows: 2, cols: 2, apply: f, adjoint: f });
      expect(() => op.apply(ones([2])), String(result)).toThrow(InvNetError);
    }
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
    // Also where its square is no number of float32.
    await setBackend('wasm');
    for (const factor of [1e-25, 1e25]) {
      const scaled = scaleOperator(diagonal, factor);
      const found = await operatorNorm(scaled, { tolerance: 1e-6 });
      expect(found / factor).toBeCloseTo(7, 3);
      expect((await dotTest(scaled)).error).toBeLessThan(1e-6);
    }
  });
});
