import { assertBijection, assertConditioner } from '@invnet/jvp';
import {
  ConditionalGlowCoupling,
  type Conditioner,
  copyModule,
  freeze,
  GlowCoupling,
  layerCatalogue,
  named,
} from '@invnet/layers';
import { networkCatalogue, SummarizedNetwork } from '@invnet/networks';
import {
  DisposedError,
  DTypeError,
  memory,
  RandomStream,
  ShapeError,
  setBackend,
  split,
  type Tensor,
  tensor,
  ValueError,
} from '@invnet/tensor';
import { modelBytes, modelFromBytes } from '@invnet/train';
import { defaultDevice, jit, lax, nn, numpy as np, tree } from '@jax-js/jax';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { fromJax, JaxBlock, JaxError } from '../src/index.ts';
import { normal } from './arrays.ts';

// Before jax-js is imported.
const { hostBytes } = await vi.hoisted(() => import('./host-memory.ts'));

type DType = 'float32' | 'float64';
type Dense = { layers: { w: np.Array; b: np.Array }[]; scale: np.Array };

const r = new RandomStream(2);

/** A dense network, with its parameters in lists and records. */
function dense({ layers: [a, b], scale }: Dense, x: np.Array): np.Array {
  const h = np.tanh(np.dot(x, a!.w).add(a!.b));
  return np.dot(h, b!.w).add(b!.b).mul(scale);
}

const denseStart = (dtype: DType, inputs = 1, outputs = 2): Dense => ({
  layers: [
    { w: normal(r, [inputs, 3], dtype), b: normal(r, [3], dtype) },
    { w: normal(r, [3, outputs], dtype), b: normal(r, [outputs], dtype) },
  ],
  scale: normal(r, [outputs], dtype),
});

/** A convolution of the input, scaled by what a context [N, 3] says. */
function seeing([w, v]: [np.Array, np.Array], x: np.Array, context: np.Array): np.Array {
  const [n] = context.shape;
  const scale = nn.sigmoid(np.dot(context, v)).reshape([n!, 2, 1, 1]);
  return lax.conv(x, w, [1, 1], 'SAME').mul(scale);
}

/** Blocks with where to check them: in which coupling, at which x and context. */
const blocks: Record<
  string,
  (dtype: DType) => { block: Conditioner; coupling: GlowCoupling; x: Tensor; context?: Tensor }
> = {
  'a dense network': (dtype) => {
    const block = fromJax(dense, denseStart(dtype));
    const coupling = new GlowCoupling({ channels: 2, ndims: 0, conditioner: block });
    return { block, coupling, x: r.normal([2, 2]) };
  },
  'a convolution with a context': (dtype) => {
    const start: [np.Array, np.Array] = [normal(r, [2, 1, 3, 3], dtype), normal(r, [3, 2], dtype)];
    const block = fromJax(seeing, start);
    const options = { channels: 2, contextChannels: 3, conditioner: block };
    const coupling = new ConditionalGlowCoupling(options);
    return { block, coupling, x: r.normal([2, 2, 2, 2]), context: r.normal([2, 3]) };
  },
};

beforeEach(async () => {
  await setBackend('wasm', { threads: 1 });
  defaultDevice('wasm');
});

describe.each(Object.entries(blocks))('%s of jax-js', (_, make) => {
  it('passes all checks as a conditioner and in a coupling, in float64', async () => {
    await setBackend('reference', { dtype: 'float64' });
    defaultDevice('cpu');
    const { block, coupling, x, context } = make('float64');
    const [half] = split(x, 1, [1, 1]);
    await assertConditioner(block, { x: half!, ...(context && { context }) });
    await assertBijection(coupling, { x, ...(context && { context }) });
  });

  it('has right gradients within a coupling in float32', async () => {
    const { coupling, x, context } = make('float32');
    const loss = () => {
      const { y, logdet } = coupling.forward(x, context);
      return [y, logdet].reduce((sum, t) => sum + t.dataSync().reduce((s, v) => s + v * v, 0), 0);
    };
    const { y, logdet } = coupling.forward(x, context);
    const twice = (t: Tensor) =>
      tensor(
        t.dataSync().map((v) => 2 * v),
        t.shape,
      );
    const { dx } = coupling.backward(y, twice(y), {
      dlogdet: twice(logdet),
      ...(context && { context }),
    });
    const targets: [Tensor, Tensor][] = coupling.parameters.map((p) => [p.data, p.grad!]);
    for (const [at, gradient] of [[x, dx] as [Tensor, Tensor], ...targets]) {
      const [start, g] = [at.dataSync(), gradient.dataSync()];
      const size = Math.hypot(...g);
      const moved = (h: number) => {
        using t = tensor(
          start.map((v, i) => v + (h * g[i]!) / size),
          at.shape,
        );
        at.swap(t);
        const value = loss();
        at.swap(t);
        return value;
      };
      expect(Math.abs((moved(3e-3) - moved(-3e-3)) / 6e-3 / size - 1)).toBeLessThan(1e-3);
    }
  });
});

describe('a block of jax-js', () => {
  it('is the same under jit', () => {
    const start = denseStart('float32');
    using x = r.normal([5, 1]);
    const blocks = [fromJax(dense, tree.ref(start)), fromJax(jit(dense), start)];
    const [plain, compiled] = blocks.map((g) => {
      const { y, saved } = g.forward(x);
      const { dx } = g.backward(y, saved);
      saved.dispose();
      return [y, dx, ...g.parameters.map((p) => p.grad!)].flatMap((t) => [...t.dataSync()]);
    });
    compiled!.forEach((v, i) => {
      expect(v).toBeCloseTo(plain![i]!, 5);
    });
  });

  it('summarizes a context', async () => {
    await setBackend('reference', { dtype: 'float64' });
    defaultDevice('cpu');
    const g = ([v, w]: [np.Array, np.Array], x: np.Array, c: np.Array) =>
      np.tanh(np.dot(x, v).add(np.dot(c, w)));
    const start: [np.Array, np.Array] = [
      normal(r, [1, 2], 'float64'),
      normal(r, [1, 2], 'float64'),
    ];
    const network = new SummarizedNetwork({
      network: new ConditionalGlowCoupling({
        channels: 2,
        contextChannels: 1,
        ndims: 0,
        conditioner: fromJax(g, start),
      }),
      summary: fromJax(dense, denseStart('float64', 2, 1)),
    });
    await assertBijection(network, { x: r.normal([2, 2]), context: r.normal([2, 2]) });
  });

  it('has its parameters named, frozen, copied and saved like any', async () => {
    const g = named('dense', (p: Dense, x: np.Array) => dense(p, x));
    const coupling = new GlowCoupling({
      channels: 2,
      ndims: 0,
      conditioner: fromJax(g, denseStart('float32')),
    });
    expect(coupling.parameters.map((p) => p.name)).toEqual([
      'conditioner.layers.0.w',
      'conditioner.layers.0.b',
      'conditioner.layers.1.w',
      'conditioner.layers.1.b',
      'conditioner.scale',
    ]);
    const x = r.normal([4, 2]);
    const expected = coupling.forward(x).y.dataSync();
    expect(copyModule(coupling).forward(x).y.dataSync()).toEqual(expected);

    const modules = [...layerCatalogue, ...networkCatalogue, JaxBlock];
    const bytes = await modelBytes(coupling);
    const loaded = await modelFromBytes(bytes, {
      modules,
      named: { dense: () => (p: Dense, x: np.Array) => dense(p, x) },
      as: GlowCoupling,
    });
    expect(loaded.forward(x).y.dataSync()).toEqual(expected);

    freeze(coupling, 'conditioner.layers.**');
    const { y } = coupling.forward(x);
    coupling.backward(y, y);
    expect(coupling.parameters.filter((p) => p.grad).map((p) => p.name)).toEqual([
      'conditioner.scale',
    ]);
  });

  it('asks for the context that its function takes', () => {
    using x = r.normal([3, 1]);
    const block = fromJax(
      (p: np.Array, y: np.Array, c: np.Array) => np.dot(y.add(c), p),
      normal(r, [1, 2]),
    );
    expect(() => block.forward(x)).toThrow(/needs a context/);
    expect(fromJax(jit(dense), denseStart('float32'), { usesContext: true }).usesContext).toBe(
      true,
    );
  });

  it('leaves nothing behind on either side, where its function forgets to dispose as well', () => {
    const forgetful = (w: np.Array, x: np.Array, _context: np.Array) => np.tanh(x).mul(w);
    const block = fromJax(forgetful, normal(r, [200]));
    expect(block.parameters.map((p) => p.name)).toEqual(['params']);
    const [x, context] = [r.normal([100, 200]), r.normal([100, 200])];
    let host = 0;
    const before = memory().liveBytes;
    for (let i = 0; i < 12; i++) {
      const { y, saved } = block.forward(x, context);
      const { dx, dcontext } = block.backward(y, saved);
      const { dy, y: again } = block.jvp(x, { x }, context);
      for (const t of [y, saved, dx, dcontext, dy, again, block.own[0]!.detachGrad()]) t?.dispose();
      if (i === 2) host = hostBytes();
    }
    expect(memory().liveBytes).toBe(before);
    expect(hostBytes()).toBe(host);
    expect(host).toBeGreaterThan(80_000);
  });
});

describe('bad input', () => {
  const w = () => normal(r, [1, 2]);
  const spent = () => {
    const a = w();
    a.dispose();
    return a;
  };
  /** Calls a function with one matrix for its parameters. */
  const called = (g: (p: np.Array, x: np.Array) => unknown) => () => {
    using x = r.normal([3, 1]);
    const block = fromJax(g as typeof np.dot, w());
    try {
      block.forward(x);
    } finally {
      block.dispose();
    }
  };
  const coupled = () => {
    using x = r.normal([3, 4]);
    const conditioner = fromJax((p: np.Array, y: np.Array) => np.dot(y, p), normal(r, [2, 3]));
    const coupling = new GlowCoupling({ channels: 4, ndims: 0, conditioner });
    try {
      coupling.forward(x);
    } finally {
      coupling.dispose();
    }
  };

  it.each<[string, () => unknown, new (message: string) => Error, RegExp]>([
    [
      'no function',
      () => fromJax(null as never, w()),
      ValueError,
      /g is null; expected a function/,
    ],
    [
      'an unknown option',
      () => fromJax(np.dot, w(), { context: true } as never),
      ValueError,
      /no option 'context'/,
    ],
    [
      'params that are numbers',
      () => fromJax(np.dot, { w: [1, 2] } as never),
      ValueError,
      /params\.w\.0 is 1; expected an array of jax-js/,
    ],
    [
      'params that hold themselves',
      () => {
        const p: unknown[] = [];
        p.push(p);
        return fromJax(np.dot, p as never);
      },
      ValueError,
      /holds itself/,
    ],
    [
      'a key with a dot',
      () => fromJax((p: { 'a.b': np.Array }, y: np.Array) => np.dot(y, p['a.b']), { 'a.b': w() }),
      ValueError,
      /'a\.b'; expected a text without/,
    ],
    [
      'params that were used up',
      () => fromJax(np.dot, spent()),
      DisposedError,
      /params was used up.*\.ref/,
    ],
    [
      'params used twice',
      () => {
        const a = w();
        return fromJax(([p, q]: np.Array[], y: np.Array) => np.dot(y, p!.add(q!)), [a, a]);
      },
      DisposedError,
      /\.ref/,
    ],
    [
      'integers for params',
      () => fromJax(np.dot, w().astype(np.int32)),
      DTypeError,
      /params is int32; expected float32 or float64/,
    ],
    [
      'a function that gives nothing',
      called((p, y) => {
        np.dot(y, p).dispose();
      }),
      ValueError,
      /gave undefined; expected one array/,
    ],
    [
      'a function that gives a list',
      called((p, y) => [np.dot(y, p)]),
      ValueError,
      /gave a list of 1; expected one array/,
    ],
    [
      'a function that gives integers',
      called((p, y) => np.dot(y, p).astype(np.int32)),
      DTypeError,
      /is int32; expected float32/,
    ],
    [
      'a function that uses an array twice',
      called(function twice(p, y) {
        return np.dot(y, p).add(np.sum(y));
      }),
      JaxError,
      /twice threw: .*\.ref at all uses before/,
    ],
    ['shapes that do not fit', called((p, y) => np.dot(p, y)), JaxError, /threw/],
    ['a result of too few channels', coupled, ShapeError, /./],
  ])('%s', (_, run, error, message) => {
    const { liveBytes } = memory();
    expect(run).toThrow(error);
    expect(run).toThrow(message);
    expect(memory().liveBytes).toBe(liveBytes);
  });
});
