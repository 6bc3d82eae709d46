/** The solvers against normal equations that are solved by elimination. */
import {
  affine,
  matmul,
  memory,
  ones,
  RandomStream,
  ShapeError,
  setBackend,
  type Tensor,
  tensor,
  ValueError,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  cg,
  composeOperators,
  identityOperator,
  type LinearOperator,
  lsmr,
  lsqr,
  makeOperator,
  type Solution,
  type SolverOptions,
  scaleOperator,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

function dense(rows: number, cols: number) {
  const a = new RandomStream(rows * 10 + cols).normal([rows, cols]);
  const op: LinearOperator<Tensor, Tensor> = makeOperator({
    domain: { shape: [cols, 1] },
    range: { shape: [rows, 1] },
    apply: (u) => matmul(a, u),
    applyAdjoint: (v) => matmul(a, v, { transposeA: true }),
  });
  return { op, values: [...a.dataSync()] };
}

/** The x with (AᵀA + λ²I)x = Aᵀb. */
function leastSquares(a: number[], rows: number, cols: number, b: number[], damping: number) {
  const m = Array.from({ length: cols }, (_, i) => [
    ...Array.from({ length: cols }, (_, j) => {
      let sum = i === j ? damping ** 2 : 0;
      for (let k = 0; k < rows; k++) sum += a[k * cols + i]! * a[k * cols + j]!;
      return sum;
    }),
    b.reduce((s, v, k) => s + v * a[k * cols + i]!, 0),
  ]);
  for (let k = 0; k < cols; k++) {
    for (let i = 0; i < cols; i++) {
      if (i === k) continue;
      const factor = m[i]![k]! / m[k]![k]!;
      for (let j = k; j <= cols; j++) m[i]![j]! -= factor * m[k]![j]!;
    }
  }
  return m.map((row, i) => row[cols]! / row[i]!);
}

describe.each([
  ['lsqr', lsqr],
  ['lsmr', lsmr],
] as const)('%s', (_, solve) => {
  it.each([
    [4, 4, 0],
    [7, 3, 0],
    [7, 3, 0.8],
    [3, 5, 0.5],
  ])('solves %i × %i with damping %f', async (rows, cols, damping) => {
    const { op, values } = dense(rows, cols);
    const b = new RandomStream(9).normal([rows, 1]);
    const before = memory().liveBytes;
    const residuals: number[] = [];
    const found = await solve(op, b, {
      damping,
      tolerance: 1e-12,
      onIteration: ({ residual }) => void residuals.push(residual),
    });
    const expected = leastSquares(values, rows, cols, [...b.dataSync()], damping);
    found.x.dataSync().forEach((v: number, i: number) => {
      expect(v).toBeCloseTo(expected[i]!, 8);
    });
    expect(residuals).toHaveLength(found.iteration);
    expect(found.iteration).toBeLessThanOrEqual(Math.min(rows, cols) + 2);
    // The residual that is reported is that of x.
    const product = op.apply(found.x);
    const Ax = product.dataSync();
    product.dispose();
    const square = [...b.dataSync()].reduce((s, v, i) => s + (v - Ax[i]!) ** 2, 0);
    const penalty = [...found.x.dataSync()].reduce((s, v) => s + (damping * v) ** 2, 0);
    const size = Math.sqrt([...b.dataSync()].reduce((s, v) => s + v * v, 0));
    expect(found.residual).toBeCloseTo(Math.sqrt(square + penalty) / size, 8);
    found.x.dispose();
    expect(memory().liveBytes).toBe(before);
  });

  it('stops when told, and at its limit', async () => {
    const { op } = dense(7, 3);
    const b = new RandomStream(9).normal([7, 1]);
    const stopped = await solve(op, b, { onIteration: () => false });
    expect(stopped).toMatchObject({ iteration: 1, reason: 'stopped' });
    const limited = await solve(op, b, { maxIterations: 2, tolerance: 0 });
    expect(limited).toMatchObject({ iteration: 2, reason: 'maxIterations' });
  });

  it('has nothing to do for zero', async () => {
    const { op } = dense(3, 2);
    const { x, iteration } = await solve(op, tensor([0, 0, 0], [3, 1]));
    expect([...x.dataSync()]).toEqual([0, 0]);
    expect(iteration).toBe(0);
  });
});

type Solver = (
  A: LinearOperator<Tensor, Tensor>,
  b: Tensor,
  options?: SolverOptions,
) => Promise<Solution<Tensor>>;

describe.each<[string, Solver]>([
  ['cg', cg],
  ['lsqr', lsqr],
  ['lsmr', lsmr],
])('%s', (_, solve) => {
  const twice = (fails = () => false): LinearOperator<Tensor, Tensor> => {
    const map = (u: Tensor) => {
      if (fails()) throw new Error('broken operator');
      return affine(u, 2);
    };
    return makeOperator({
      domain: { shape: [3] },
      range: { shape: [3] },
      apply: map,
      applyAdjoint: map,
    });
  };

  it('frees what it made when an operator or a callback throws', async () => {
    const b = tensor([1, 2, 3], [3]);
    const before = memory();
    for (let last = 0; last < 4; last++) {
      let calls = 0;
      const broken = twice(() => calls++ === last);
      await solve(broken, b, { tolerance: 0, maxIterations: 5 }).then(
        ({ x }) => x.dispose(),
        (error) => expect(String(error)).toMatch(/broken operator/),
      );
    }
    const onIteration = () => {
      throw new Error('broken callback');
    };
    await expect(solve(twice(), b, { onIteration })).rejects.toThrow(/broken callback/);
    await expect(solve(twice(), ones([2, 2]))).rejects.toThrow(ShapeError);
    expect(memory().liveBytes - before.liveBytes).toBe(4 * 8); // ones([2, 2])
  });

  it.each([1e-30, 1e25])('solves for a right-hand side of size %f in float32', async (size) => {
    await setBackend('wasm');
    const b = tensor([1, 2, 3], [3]);
    using scaled = affine(b, size);
    const found = await solve(twice(), scaled);
    expect(found.residual).toBeLessThan(1e-6);
    [...found.x.dataSync()].forEach((v, i) => {
      expect(v / size).toBeCloseTo((i + 1) / 2, 5);
    });
  });

  it('refuses options that are out of range, or that it has not', async () => {
    const b = tensor([1, 2, 3], [3]);
    const bad = [-1, Number.NaN, Number.POSITIVE_INFINITY, '1' as unknown as number];
    for (const value of bad) {
      await expect(solve(twice(), b, { tolerance: value })).rejects.toThrow(/tolerance is/);
      await expect(solve(twice(), b, { maxIterations: value })).rejects.toThrow(ValueError);
      const damped = { damping: value } as SolverOptions;
      await expect(solve(twice(), b, damped)).rejects.toThrow(/damping/);
    }
    const misspelt = { maxIter: 3 } as SolverOptions;
    await expect(solve(twice(), b, misspelt)).rejects.toThrow(/no option 'maxIter'/);
  });

  it('stops when aborted, and at numbers that are not finite', async () => {
    const a = new RandomStream(1).normal([3, 3]);
    const product = (transposeA: boolean) => (u: Tensor) =>
      matmul(a, u.reshape([3, 1]), { transposeA }).reshape([3]);
    const general = makeOperator<Tensor, Tensor>({
      domain: { shape: [3] },
      range: { shape: [3] },
      apply: product(false),
      applyAdjoint: product(true),
    });
    const spd = composeOperators(general.adjoint, general);
    const b = tensor([1, 2, 3], [3]);
    const abort = new AbortController();
    const options = { tolerance: 0, onIteration: () => abort.abort(), signal: abort.signal };
    expect(await solve(spd, b, options)).toMatchObject({ iteration: 1, reason: 'stopped' });
    const { reason } = await solve(spd, tensor([1, Number.NaN, 3], [3]));
    expect(reason).toBe('breakdown');
    // A solution of 1e45, which no float32 is, though its residual is small.
    await setBackend('wasm');
    const small = scaleOperator(identityOperator<Tensor>({ shape: [3] }), 1e-10);
    expect(await solve(small, tensor([1e35, 1e35, 1e35]))).toMatchObject({ reason: 'breakdown' });
  });
});

describe('cg', () => {
  it('ends after as many iterations as there are unknowns', async () => {
    const { op, values } = dense(6, 4);
    const normal = composeOperators(op.adjoint, op);
    const b = new RandomStream(9).normal([6, 1]);
    const before = memory().liveBytes;
    const right = op.adjoint.apply(b);
    const { x, iteration, reason } = await cg(normal, right, { tolerance: 1e-10 });
    expect(reason).toBe('residual');
    expect(iteration).toBeLessThanOrEqual(5);
    const expected = leastSquares(values, 6, 4, [...b.dataSync()], 0);
    x.dataSync().forEach((v: number, i: number) => {
      expect(v).toBeCloseTo(expected[i]!, 8);
    });
    x.dispose();
    right.dispose();
    expect(memory().liveBytes).toBe(before);
  });

  it('says that a matrix is not positive definite', async () => {
    const negative: LinearOperator<Tensor, Tensor> = makeOperator({
      domain: { shape: [2] },
      range: { shape: [2] },
      apply: (u) =>
        tensor(
          Float64Array.from(u.dataSync(), (v) => -v),
          [2],
        ),
      applyAdjoint: (u) =>
        tensor(
          Float64Array.from(u.dataSync(), (v) => -v),
          [2],
        ),
    });
    const { iteration, reason } = await cg(negative, tensor([1, 2], [2]));
    expect({ iteration, reason }).toEqual({ iteration: 0, reason: 'negativeCurvature' });
  });
});
