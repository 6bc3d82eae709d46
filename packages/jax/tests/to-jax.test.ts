import { twoMoons } from '@invnet/datasets';
import { ConditionalNormal, Flow, negativeLogLikelihood } from '@invnet/flows';
import { BasicCoupling, initialize, type Module, reverse, zeroGrad } from '@invnet/layers';
import { ConditionalGlow, Glow } from '@invnet/networks';
import {
  BackendError,
  DisposedError,
  DTypeError,
  memory,
  RandomStream,
  ShapeError,
  setBackend,
  type Tensor,
  ValueError,
} from '@invnet/tensor';
import { Adam } from '@invnet/train';
import { defaultDevice, grad, jit, numpy as np, tree } from '@jax-js/jax';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import {
  chain,
  type JaxChain,
  JaxError,
  type JaxParams,
  type JaxTree,
  toJax,
} from '../src/index.ts';
import { gradientErrors, normal, numbersOf } from './arrays.ts';

// Before jax-js is imported.
const { hostBytes } = await vi.hoisted(() => import('./host-memory.ts'));

const dense = { ndims: 0, scales: 1, hidden: 8 };
const glow = (steps = 2) => new Glow({ channels: 2, steps, ...dense });

/** The network, off its start, where couplings are the identity. */
function moved<M extends Module>(network: M): M {
  const random = new RandomStream(3);
  for (const p of network.parameters) {
    using numbers = random.normal(p.shape, 0.4);
    p.assign(numbers);
  }
  return network;
}

beforeEach(async () => {
  await setBackend('wasm', { threads: 1 });
  defaultDevice('wasm');
});

/** Losses in which a network stands between functions of jax-js, with their arguments. */
const losses: Record<string, (dtype: 'float32' | 'float64') => [JaxChain, JaxTree[]]> = {
  'a network whose context an encoder makes': (dtype) => {
    const r = new RandomStream(4);
    const network = toJax(
      moved(new ConditionalGlow({ channels: 2, contextChannels: 3, steps: 2, ...dense })),
    );
    const encoder = ({ w }: { w: np.Array }, x: np.Array, seen: np.Array) => [
      x,
      np.tanh(np.dot(seen, w)),
    ];
    const loss = (_: [], y: np.Array, logdet: np.Array) =>
      np.mean(np.square(y)).sub(np.mean(logdet.mul(0.5)));
    const w = normal(r, [4, 3], dtype);
    const inputs = [normal(r, [5, 2], dtype), normal(r, [5, 4], dtype)];
    return [chain(encoder, network, loss), [[{ w }, network.params(), []], ...inputs]];
  },
  'a flow': (dtype) => {
    const flow = toJax(moved(new Flow({ network: glow() })));
    const x = normal(new RandomStream(4), [5, 2], dtype);
    const loss = chain(flow, (_: [], logProb: np.Array) => np.mean(np.square(logProb)));
    return [loss, [[flow.params(), []], x]];
  },
  'a map of pairs, within another chain': (dtype) => {
    const r = new RandomStream(4);
    const pairs = toJax(moved(new BasicCoupling({ channels: [1, 2], ndims: 0, hidden: 8 })));
    const loss = (_: [], [a, b]: [np.Array, np.Array], logdet: np.Array) =>
      np
        .mean(np.square(a))
        .add(np.mean(np.tanh(b)))
        .sub(np.mean(logdet));
    const x = [normal(r, [4, 1], dtype), normal(r, [4, 2], dtype)];
    return [chain(chain(pairs), loss), [[[pairs.params()], []], x]];
  },
};

it('a flow has the gradients of its base, of whose context as well, and no jvp through them', async () => {
  const sizes = { channels: 2, contextChannels: 3, ...dense };
  const base = new ConditionalNormal({ channels: 2, contextChannels: 3, ndims: 0, hidden: 4 });
  const flow = moved(new Flow({ network: new ConditionalGlow({ ...sizes, steps: 1 }), base }));
  const random = new RandomStream(4);
  const [x, context, weights] = [[5, 2], [5, 3], [5]].map((shape) => random.normal(shape));
  const { z } = flow.forward(x!, context);
  const { dx, dcontext } = flow.backward(z, weights!, context);
  const expected = [...flow.parameters.map((p) => p.grad!), dx, dcontext!];
  const numbers = expected.map((t) => Array.from(t.dataSync()));
  zeroGrad(flow.parameters);

  const map = toJax(flow);
  const arrayOf = (t: Tensor) => np.array(Float32Array.from(t.dataSync())).reshape([...t.shape]);
  const primals = (): [JaxParams, np.Array, np.Array] => [
    map.params(),
    arrayOf(x!),
    arrayOf(context!),
  ];
  const [logProb, back] = map.vjp(primals());
  expect(numbersOf(logProb)).toHaveLength(5);
  const [dparams, ...ends] = back(arrayOf(weights!));
  back.dispose();
  const found = [...flow.parameters.map((p) => dparams[p.name]!), ...ends].map((a) =>
    numbersOf(a!),
  );
  found.flat().forEach((v, i) => {
    expect(v).toBeCloseTo(numbers.flat()[i]!, 4);
  });
  expect(() => map.jvp(primals(), primals())).toThrow(/its base, ConditionalNormal/);
});

describe.each(Object.entries(losses))('gradients through %s', (_, make) => {
  it('are those of central differences and of jvp, in float32', () => {
    const [loss, primals] = make('float32');
    const [difference, tangent] = gradientErrors(loss, primals, 1e-3);
    expect(difference).toBeLessThan(1e-3);
    expect(tangent).toBeLessThan(1e-5);
  });

  it('and in float64', async () => {
    await setBackend('reference', { dtype: 'float64' });
    defaultDevice('cpu');
    const [loss, primals] = make('float64');
    const [difference, tangent] = gradientErrors(loss, primals, 1e-5);
    expect(difference).toBeLessThan(1e-6);
    expect(tangent).toBeLessThan(1e-12);
  });
});

describe('a network in jax-js', () => {
  it('inverts, and has no state of its own: calls with other parameters may come between', () => {
    const network = moved(glow());
    const [there, back] = [toJax(network), toJax(reverse(network))];
    const [first, second] = [there.params(), halved(there.params())];
    const x = normal(new RandomStream(5), [3, 2]);
    const gradient = () => {
      const [[y, logdet], pull] = there.vjp([tree.ref(first), x.ref]);
      return { y, logdet, pull };
    };
    const plain = gradient();
    const expected = numbersOf(plain.pull([plain.y.ref, plain.logdet.ref]) as JaxTree);
    const a = gradient();
    tree.dispose(there.apply(tree.ref(second), x.ref));
    expect(numbersOf(a.pull([a.y.ref, a.logdet.ref]) as JaxTree)).toEqual(expected);
    const [again] = back.apply(tree.ref(first), a.y);
    numbersOf(again).forEach((v, i) => {
      expect(v).toBeCloseTo(numbersOf(x)[i]!, 5);
    });

    function halved(params: JaxParams): JaxParams {
      return tree.map((p: np.Array) => p.mul(0.5), params);
    }
  });

  it('leaves gradients alone that its parameters have gathered, and parameters that are frozen', () => {
    const network = moved(glow());
    const [p, q] = network.parameters;
    using one = new RandomStream(1).normal(p!.shape);
    p!.accumulateGrad(one);
    q!.frozen = true;
    const f = toJax(network);
    expect(Object.keys(f.params())).toHaveLength(network.parameters.length - 1);
    const loss = chain(f, (_: [], y: np.Array, logdet: np.Array) => np.sum(y).add(np.sum(logdet)));
    const [, [gradient]] = loss.valueAndGrad([f.params(), []], normal(new RandomStream(1), [3, 2]));
    expect(Object.keys(gradient)).toEqual(Object.keys(f.params()));
    expect(network.parameters.filter((r) => r.grad)).toEqual([p]);
    expect(p!.grad!.dataSync()).toEqual(one.dataSync());
  });

  it('keeps the output alone from forward to backward, and nothing after, at any depth', () => {
    const rows = 5000;
    for (const steps of [2, 6]) {
      const f = toJax(moved(glow(steps)));
      const params = f.params();
      const x = normal(new RandomStream(1), [rows, 2]);
      let host = 0;
      for (let i = 0; i < 6; i++) {
        const before = memory().liveBytes;
        const [[y, logdet], back] = f.vjp([tree.ref(params), x.ref]);
        expect(memory().liveBytes - before).toBe(4 * 2 * rows);
        tree.dispose(back([y, logdet]));
        back.dispose();
        expect(memory().liveBytes).toBe(before);
        if (i === 2) host = hostBytes();
      }
      expect(hostBytes()).toBe(host);
      tree.dispose([params, x]);
      expect(tree.leaves([params, x]).every((a: np.Array) => a.refCount === 0)).toBe(true);
    }
  });
});

/** Adam, all of it in jax-js; `rates` are the learning rate and the two corrections of a step. */
const adam = jit(
  (params: JaxParams, m: JaxParams, v: JaxParams, g: JaxParams, rates: np.Array[]) => {
    const next: [JaxParams, JaxParams, JaxParams] = [{}, {}, {}];
    for (const n of Object.keys(params)) {
      const [rate, c1, c2] = rates.map((r) => r.ref);
      const a = m[n]!.mul(0.9).add(g[n]!.ref.mul(0.1));
      const b = v[n]!.mul(0.999).add(np.square(g[n]!).mul(0.001));
      const step = a.ref.div(c1!).div(np.sqrt(b.ref.div(c2!)).add(1e-5));
      next[0][n] = params[n]!.sub(step.mul(rate!));
      next[1][n] = a;
      next[2][n] = b;
    }
    tree.dispose(rates);
    return next;
  },
);

it('two moons are fitted by an optimizer in jax-js as well as by ours', async () => {
  const [steps, rows] = [120, 128];
  const batch = (i: number) => twoMoons().sample(rows, new RandomStream(100 + i));
  const rate = (i: number) => 1e-2 * (1 - i / steps);
  const make = async () => {
    const random = new RandomStream(1);
    const flow = new Flow({ network: new Glow({ channels: 2, steps: 3, ...dense, random }) });
    using x = batch(0);
    await initialize(flow.network, x);
    return flow;
  };
  const [ours, theirs] = [await make(), await make()];

  const optimizer = new Adam({ epsilon: 1e-5 });
  for (let i = 0; i < steps; i++) {
    zeroGrad(ours.parameters);
    using x = batch(i);
    negativeLogLikelihood(ours, x).dispose();
    optimizer.step(ours.parameters, { learningRate: rate(i) });
  }

  optimizer.dispose();

  const flow = toJax(theirs);
  const loss = chain(flow, (_: [], logProb: np.Array) => np.mean(logProb).neg());
  const zeros = (): JaxParams => tree.map((a: np.Array) => np.zeros(a.shape), flow.params());
  let [params, m, v] = [flow.params(), zeros(), zeros()];
  const before = memory().liveBytes;
  for (let i = 0; i < steps; i++) {
    using points = batch(i);
    const x = np.array(points.dataSync(), { shape: [rows, 2] });
    const [value, [g]] = loss.valueAndGrad([tree.ref(params), []], x);
    value.dispose();
    const rates = [rate(i), 1 - 0.9 ** (i + 1), 1 - 0.999 ** (i + 1)].map((r) => np.array(r));
    [params, m, v] = adam(params, m, v, g, rates);
  }
  expect(memory().liveBytes).toBe(before);
  flow.assign(params);

  using test = twoMoons().sample(5000, new RandomStream(7));
  const nats = (f: Flow) => {
    using logProb = f.logProb(test);
    return -logProb.dataSync().reduce((sum, l) => sum + l, 0) / 5000;
  };
  expect(nats(ours)).toBeLessThan(1.75);
  expect(Math.abs(nats(theirs) - nats(ours))).toBeLessThan(0.02);
});

describe('bad input', () => {
  const f = () => toJax(moved(glow()));
  const x = () => normal(new RandomStream(1), [3, 2]);
  const spent = () => {
    const a = x();
    a.dispose();
    return a;
  };
  const { name } = glow().parameters[0]!;

  it.each<[string, () => unknown, new (message: string) => Error, RegExp]>([
    [
      'no map',
      () => toJax(null as never),
      ValueError,
      /toJax: the map is null; expected a bijection/,
    ],
    ['no params', () => f().apply([] as never, x()), ValueError, /apply: primals\[0\]/],
    [
      'a parameter too many',
      () => f().apply({ ...f().params(), w: x() }, x()),
      ValueError,
      /unknown 'w'/,
    ],
    ['a parameter missing', () => f().apply({}, x()), ValueError, new RegExp(`has no '${name}'`)],
    [
      'a parameter of another shape',
      () => f().apply({ ...f().params(), [name]: x() }, x()),
      ShapeError,
      /is \[3, 2\]; expected/,
    ],
    ['an array that was used up', () => f().apply(f().params(), spent()), DisposedError, /\.ref/],
    [
      'an array given twice',
      () => {
        const [d, g] = [x(), f()];
        return g.jvp([g.params(), d], [g.params(), d]);
      },
      DisposedError,
      /\.ref/,
    ],
    [
      'integers',
      () => f().apply(f().params(), x().astype(np.int32)),
      DTypeError,
      /is int32; expected float32, as by \.astype\(np\.float32\)/,
    ],
    [
      'numbers',
      () => f().apply(f().params(), 1 as never),
      ValueError,
      /expected an array of jax-js/,
    ],
    [
      'a state of another shape',
      () => f().apply(f().params(), normal(new RandomStream(1), [3, 5])),
      ShapeError,
      /./,
    ],
    ['a context that nothing uses', () => f().apply(f().params(), x(), x()), ValueError, /context/],
    [
      'grad of jax-js around it',
      () => {
        const g = f();
        return grad((y: np.Array) => np.sum(g.apply(g.params(), y)[0]))(x());
      },
      ValueError,
      /traced by jax-js.*chain/,
    ],
    [
      'gradients of another form',
      () => {
        const g = f();
        return g.vjp([g.params(), x()])[1](x());
      },
      ValueError,
      /expected a list of 2/,
    ],
    [
      'a pullback that ended',
      () => {
        const g = f();
        const [, back] = g.vjp([g.params(), x()]);
        back.dispose();
        return back([x(), x()]);
      },
      DisposedError,
      /after its dispose/,
    ],
    ['no stages', () => chain(), ValueError, /no stages/],
    ['a stage that is none', () => chain(1 as never), ValueError, /stage 0 is 1/],
    [
      'parameters of other stages',
      () => chain(f()).apply([], x()),
      ValueError,
      /those of 1 stages/,
    ],
    [
      'a loss that is no number',
      () => chain((_: [], a: np.Array) => a).valueAndGrad([[]], x()),
      ShapeError,
      /gave \[3, 2\]; expected one number/,
    ],
    [
      'a stage that uses an array twice',
      () =>
        chain(function twice(_: [], a: np.Array) {
          return a.mul(a);
        }).apply([[]], x()),
      JaxError,
      /twice threw: .*\.ref at all uses before/,
    ],
  ])('%s', (_, run, error, message) => {
    expect(run).toThrow(error);
    expect(run).toThrow(message);
  });

  it('a device that cannot be read at once', () => {
    const [g, a] = [f(), x()];
    const params = g.params();
    vi.spyOn(a, 'dataSync').mockImplementation(() => {
      throw new Error('not supported');
    });
    const before = memory().liveBytes;
    expect(() => g.apply(params, a)).toThrow(BackendError);
    expect(memory().liveBytes).toBe(before);
    expect(tree.leaves([params, a]).every((b: np.Array) => b.refCount === 0)).toBe(true);
  });
});
