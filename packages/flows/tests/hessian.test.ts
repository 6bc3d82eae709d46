/** Second derivatives of log p, of every layer and network; and the backend of dual numbers that gives them. */
import {
  ActNorm,
  CustomBlock,
  copyModuleBy,
  evaluate,
  GlowCoupling,
  initialize,
  type Module,
  ParameterMap,
  Sequential,
} from '@invnet/layers';
import {
  memory,
  RandomStream,
  resetPeakMemory,
  setBackend,
  Tensor,
  tensor,
  tidy,
  withBackend,
} from '@invnet/tensor';
import { beforeEach, expect, it } from 'vitest';
import { conditionerRows } from '../../jvp/tests/conditioner-rows.ts';
import { contextOf, inputOf, rows, scatterParameters } from '../../jvp/tests/rows.ts';
import { DualBackend } from '../src/dual/dual-backend.ts';
import { Flow, hessianProduct, scoreOf } from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

// A function of one's own has numbers of its own, which nothing brings to another backend.
const chosen = rows.filter(({ name }) => /, [02]D$/.test(name) && !/Custom/.test(name));
const conditioners = conditionerRows.filter((row) => !(row.make() instanceof CustomBlock));

async function flowOf(row: (typeof rows)[number]) {
  const flow = new Flow({ network: row.make() });
  const [x, context] = [inputOf(row), contextOf(row)];
  await initialize(flow, x, { context });
  scatterParameters(flow);
  return { flow, x, context };
}

/** Compares two lists of numbers, by the largest of them. */
function expectClose(found: Float64Array, expected: ArrayLike<number>, tolerance: number): void {
  const size = Array.from(expected).reduce((most, v) => Math.max(most, Math.abs(v)), 1);
  found.forEach((v, i) => {
    expect(Math.abs(v - expected[i]!) / size).toBeLessThan(tolerance);
  });
}

/** A copy on dual numbers, whose parameters, x and context move; and the same as a tangent of `jvp`. */
function moving<M extends Module>(module: M, x: Tensor, context: Tensor | undefined) {
  const random = new RandomStream(9);
  const along = { x: random.normal(x.shape), context: context && random.normal(context.shape) };
  const parameters = new ParameterMap(module.parameters.map((p) => [p, random.normal(p.shape)]));
  const dual = new DualBackend(x.backend, x.dtype);
  const slopes = new Map([...parameters].map(([p, t]) => [p.data.storage, t.storage]));
  const lifted = (t: Tensor, by: Tensor) =>
    new Tensor(t.shape, dual, dual.lift(t.storage, by.storage));
  const copy = withBackend(dual, () =>
    copyModuleBy(module, (to, { storage }) => {
      dual.bind(to.storage, storage, slopes.get(storage));
    }),
  );
  return {
    copy,
    x: lifted(x, along.x),
    context: context && lifted(context, along.context!),
    tangent: { x: along.x, parameters, ...(context && { context: along.context! }) },
    numbers: (t: Tensor) => {
      const { value, tangent } = dual.take(t.storage);
      return [value, tangent].map((s) => new Tensor(t.shape, x.backend, s).dataSync<'float64'>());
    },
    on: <T>(fn: () => T) => withBackend(dual, fn),
  };
}

it.each(chosen)('$name: dual numbers are its jvp', async (row) => {
  const { flow, x, context } = await flowOf(row);
  const m = moving(flow.network, x, context);
  const expected = flow.network.jvp(x, m.tangent, context);
  const found = m.on(() => m.copy.forward(m.x, m.context));
  const [y, dy] = m.numbers(found.y);
  const [logdet, dlogdet] = m.numbers(found.logdet);
  for (const [a, b] of Object.entries({ y, dy, logdet, dlogdet })) {
    const exact = expected[a as 'y' | 'dy' | 'logdet' | 'dlogdet'].dataSync();
    expectClose(b!, exact, 1e-8);
  }
});

it.each(conditioners)('$name: dual numbers are its jvp', (row) => {
  const g = row.make();
  scatterParameters(g);
  const x = inputOf(row);
  const m = moving(g, x, contextOf(row));
  const expected = g.jvp(x, m.tangent, contextOf(row));
  const [y, dy] = m.numbers(m.on(() => evaluate(m.copy, m.x, m.context)));
  expectClose(y!, expected.y.dataSync(), 1e-10);
  expectClose(dy!, expected.dy.dataSync(), 1e-8);
});

it.each(chosen)('$name: a product with the Hessian is the derivative of the score', async (row) => {
  const { flow, x, context } = await flowOf(row);
  const v = new RandomStream(8).normal(x.shape);
  const before = memory();
  const { product, score } = hessianProduct(flow, x, v, context);
  expect(memory().tensors).toBe(before.tensors + 2);
  expect(memory().liveBytes).toBe(before.liveBytes + 16 * x.size);
  // So small that kinks of rectifiers are not in between.
  const h = 1e-6;
  const at = (step: number) =>
    tidy(() => {
      const moved = x.dataSync<'float64'>().map((u, i) => u + step * v.dataSync()[i]!);
      return scoreOf(flow, tensor(moved, x.shape), context).score.dataSync<'float64'>();
    });
  const [ahead, behind] = [at(h), at(-h)];
  const slope = ahead.map((s, i) => (s - behind[i]!) / (2 * h));
  expectClose(product.dataSync<'float64'>(), slope, 1e-6);
  expectClose(score.dataSync<'float64'>(), at(0), 1e-10);
  expect(flow.parameters.every((p) => !p.grad)).toBe(true);
  for (const t of [product, score, v, x, context]) t?.dispose();
  flow.dispose();
});

it('takes memory that does not grow with depth, on any backend', async () => {
  await setBackend('wasm');
  const peak = (depth: number) => {
    const random = new RandomStream(1);
    const layers = Array.from({ length: depth }, () => {
      return new GlowCoupling({ channels: 2, hidden: 8, ndims: 0, random });
    });
    const flow = new Flow({ network: new Sequential(layers) });
    using x = random.normal([4096, 2]);
    using v = random.normal([4096, 2]);
    // The copy of the parameters that is built on the way, which is small beside the samples.
    const { liveBytes } = memory();
    resetPeakMemory();
    for (const t of Object.values(hessianProduct(flow, x, v))) t.dispose();
    expect(memory().liveBytes).toBe(liveBytes);
    const { peakBytes } = memory();
    flow.dispose();
    return peakBytes - liveBytes;
  };
  expect(peak(24) / peak(4)).toBeLessThan(1.01);
});

it('refuses what has another shape, or lives elsewhere', async () => {
  const flow = new Flow({ network: new ActNorm({ channels: 2 }) });
  const x = new RandomStream(1).normal([3, 2]);
  expect(() => hessianProduct(flow, x, tensor([1, 2]))).toThrow(/v is \[2\]; expected the shape/);
  expect(() => hessianProduct(flow, tensor([[1]]), tensor([[1]]))).toThrow(/1 channels/);
  await setBackend('wasm');
  const elsewhere = new RandomStream(1).normal([3, 2]);
  expect(() => hessianProduct(flow, elsewhere, elsewhere)).toThrow(/expected both on one backend/);
  expect(() => hessianProduct(flow, x, elsewhere)).toThrow(/expected both on one backend/);
});
