import { readFileSync } from 'node:fs';
import {
  affine,
  memory,
  RandomStream,
  resetPeakMemory,
  ShapeError,
  setBackend,
  sub,
  type Tensor,
  tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  AdditiveTransformer,
  AffineTransformer,
  Autoregressive,
  type AutoregressiveOptions,
  DenseBlock,
  keeping,
  MadeBlock,
  type MadeBlockOptions,
  type Parameter,
  RationalQuadraticSpline,
  type RationalQuadraticSplineOptions,
  replacePart,
  softplus,
  softsignClamp,
  tanh,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const numbers = (t: Tensor): number[] => Array.from(t.dataSync());
const gap = (a: Tensor, b: Tensor) => Math.max(...numbers(sub(a, b)).map(Math.abs));
const random = () => new RandomStream(3);

/** ∂y/∂x of a block on one sample, [size·D][D]. */
function jacobianOf(block: MadeBlock, x: readonly number[]): number[][] {
  const { y, saved } = block.forward(tensor([x]));
  return Array.from({ length: y.size }, (_, row) => {
    const one = tensor([Array.from({ length: y.size }, (__, i) => Number(i === row))]);
    return numbers(block.backward(one, saved).dx);
  });
}

describe('MadeBlock', () => {
  const points = [0.3, -1.2, 0.8, 2.1];
  const sizes = { channels: 4, size: 2, hidden: [9, 7], activation: tanh() };
  const graph = [
    [false, true, false, false],
    [false, false, false, false],
    [false, true, false, false],
    [true, false, true, true],
  ];
  const edges = graph.map((row, i) => row.map((edge, j) => edge && i !== j));
  const after = (order: readonly number[]) =>
    order.map((_, i) => order.map((__, j) => order.indexOf(j) < order.indexOf(i)));

  it.each<[string, Partial<MadeBlockOptions>, boolean[][]]>([
    ['an order', { order: [2, 0, 3, 1] }, after([2, 0, 3, 1])],
    [
      'the reversed order, in residual blocks',
      { order: 'reversed', blocks: 'residual', hidden: [8] },
      after([3, 2, 1, 0]),
    ],
    ['a coupling', { passes: 2 }, graph.map((_, i) => graph.map((__, j) => i > 1 && j < 2))],
    ['a graph', { adjacency: graph }, edges],
    [
      'a graph, in preactivated blocks',
      { adjacency: graph, blocks: 'preactivated', hidden: [8] },
      edges,
    ],
  ])('has derivatives of exactly zero but those of %s', (_, options, expected) => {
    const block = new MadeBlock({ ...sizes, ...options, random: random() });
    jacobianOf(block, points).forEach((row, i) => {
      row.forEach((slope, j) => {
        expect(slope !== 0, `∂y${i}/∂x${j} is ${slope}`).toBe(expected[i % 4]![j]);
      });
    });
  });

  it('computes the channels pass by pass', () => {
    const block = (options: object) => new MadeBlock({ ...sizes, ...options, random: random() });
    expect(block({}).passes).toBe(4);
    expect(block({ passes: 3 }).passes).toBe(2);
    expect(block({ adjacency: graph }).passes).toBe(3);
    expect(block({ adjacency: graph }).channelOrder).toEqual([1, 0, 2, 3]);
    expect(block({ order: 'random' }).channelOrder).toEqual(
      block({ order: 'random' }).options.order,
    );
  });

  it('shows a joined context to the first channel, and an added one from the second on', () => {
    const moved = (context: 'joined' | 'added') => {
      const block = new MadeBlock({ ...sizes, contextChannels: 1, context, random: random() });
      const at = (c: number) => block.forward(tensor([points]), tensor([[c]])).y;
      return numbers(sub(at(1), at(2))).map((v) => v !== 0);
    };
    expect(moved('joined')).toEqual(Array(8).fill(true));
    expect(moved('added')).toEqual([false, true, true, true, false, true, true, true]);
  });

  it('has a graph of channels and context', () => {
    const adjacency = [
      [false, false, false, true],
      [true, false, false, false],
    ];
    const options = { channels: 2, size: 1, contextChannels: 2, activation: tanh() };
    const block = new MadeBlock({ ...options, adjacency, random: random() });
    const { y, saved } = block.forward(tensor([[1, 2]]), tensor([[3, 4]]));
    const { dx, dcontext } = block.backward(tensor([[1, 1]]), saved);
    expect(y.shape).toEqual([1, 2]);
    expect(numbers(dx).map((v) => v !== 0)).toEqual([true, false]);
    expect(numbers(dcontext!).map((v) => v !== 0)).toEqual([false, true]);
  });

  it('refuses what cannot be', () => {
    const made = (options: object) => () => new MadeBlock({ channels: 2, size: 1, ...options });
    const rows = (...edges: number[][]) => edges.map((row) => row.map((edge) => edge > 0));
    expect(made({ adjacency: rows([0, 1], [1, 0]) })).toThrow(
      'has a cycle among or before the channels [0, 1]',
    );
    expect(made({ adjacency: rows([1, 0], [0, 1]) })).toThrow('expected something to condition on');
    expect(made({ passes: 1 })).toThrow('no channel depends on another one');
    expect(made({ adjacency: rows([0, 1]) })).toThrow('adjacency has 1 rows; expected 2');
    expect(made({ adjacency: rows([0, 1], [0]) })).toThrow(
      'adjacency[1] has 1 entries; expected 2',
    );
    expect(
      made({
        adjacency: [
          [0, 1],
          [0, 0],
        ],
      }),
    ).toThrow('adjacency[0][0] is 0; expected true or false');
    expect(made({ adjacency: rows([0, 1], [0, 0]), order: [0, 1] })).toThrow(
      'both an adjacency and an order',
    );
    expect(made({ adjacency: rows([0, 1], [0, 0]), passes: 2 })).toThrow(
      'both an adjacency and passes',
    );
    expect(made({ order: [0, 0] })).toThrow('order[1] is 0; expected each number from 0 to 1 once');
    expect(made({ passes: 3 })).toThrow('passes is 3');
    expect(made({ hidden: [4, 2 ** 40] })).toThrow(
      'from 4 to 1099511627776 units; expected at most',
    );
    expect(made({ channels: 2 ** 40 })).toThrow('expected at most');
    expect(made({ hidden: [] })).toThrow('the number of entries of hidden is 0');
    expect(made({ hidden: [4, 0] })).toThrow('hidden[1] is 0');
    expect(made({ hidden: [4, 5], blocks: 'residual' })).toThrow(
      'hidden is [4, 5]; expected equal widths',
    );
    expect(made({ blocks: 'dense' })).toThrow(ValueError);
    expect(made({ context: 'before' })).toThrow(ValueError);
    const block = new MadeBlock({ channels: 2, size: 1, contextChannels: 3 });
    expect(() => block.forward(zeros([4, 3]))).toThrow(ShapeError);
    expect(() => block.forward(zeros([4, 2]))).toThrow('MadeBlock: expected a context, got none');
    expect(() => block.forward(zeros([4, 2]), zeros([4, 2]))).toThrow('expected [4, 3]');
  });
});

describe('Autoregressive', () => {
  it('needs no more memory for the inverse of many channels than a few evaluations do', () => {
    const peak = (run: () => { dispose(): void }[]) => {
      resetPeakMemory();
      const before = memory().liveBytes;
      for (const t of run()) t.dispose();
      return memory().peakBytes - before;
    };
    const layer = new Autoregressive({ channels: 24, hidden: [32, 32] });
    const x = random().normal([64, 24]);
    const forward = peak(() => Object.values(layer.forward(x)));
    const inverse = peak(() => Object.values(layer.inverse(x)));
    expect(inverse).toBeLessThan(3 * forward);
  });

  it('maps one channel by a context alone', () => {
    const layer = new Autoregressive({ channels: 1, contextChannels: 2, hidden: [4] });
    const [x, context] = [random().normal([3, 1]), random().normal([3, 2])];
    const { y } = layer.forward(x, context);
    expect(gap(layer.inverse(y, context).x, x)).toBeLessThan(1e-14);
    expect(layer.conditioner.passes).toBe(1);
    expect(() => new Autoregressive({ channels: 1 })).toThrow('expected something to condition on');
  });

  it('evaluates its network once for a forward and a backward that keep inputs', () => {
    let calls = 0;
    const apply = (x: Tensor) => {
      calls += 1;
      return tanh().apply(x);
    };
    const layer = new Autoregressive({
      channels: 4,
      hidden: [8],
      activation: { ...tanh(), apply },
    });
    const x = random().normal([2, 4]);
    const step = () => layer.backward(layer.forward(x).y, x);
    step();
    // One evaluation, and those of the passes that have units: all but the first.
    expect(calls).toBe(1 + 3);
    calls = 0;
    keeping('inputs', step);
    expect(calls).toBe(1);
  });

  it('leaves nothing behind when an activation throws, in either direction', () => {
    let left = 3;
    const activation = {
      ...tanh(),
      apply: (x: Tensor) => {
        left -= 1;
        if (left < 0) throw new ValueError('gave up');
        return tanh().apply(x);
      },
    };
    const layer = new Autoregressive({ channels: 4, hidden: [8, 8], activation });
    const x = random().normal([2, 4]);
    const before = memory().tensors;
    for (const run of [
      () => layer.inverse(x),
      () => layer.forward(x),
      () => layer.backward(x, x),
    ]) {
      left = 1;
      expect(run).toThrow('gave up');
      expect(memory().tensors).toBe(before);
    }
  });

  it('refuses what cannot be', () => {
    const made = (options: object) => () => new Autoregressive(options as AutoregressiveOptions);
    const conditioner = new MadeBlock({ channels: 2, size: 2 });
    expect(made({})).toThrow('expected channels, or a conditioner');
    expect(made({ conditioner, channels: 2 })).toThrow('got channels beside a conditioner');
    expect(made({ conditioner, hidden: [4] })).toThrow('got hidden beside a conditioner');
    expect(made({ conditioner, transformer: new AdditiveTransformer() })).toThrow(
      'gives 2 numbers for each channel; expected 1',
    );
    const dense = new DenseBlock({ inChannels: 2, hidden: 2, outChannels: 4 });
    expect(made({ conditioner: dense })).toThrow('is a DenseBlock; expected a MadeBlock');
    const replaced = replacePart(new Autoregressive({ conditioner }), 'conditioner', dense);
    expect(() => replaced.forward(zeros([1, 2]))).toThrow('is a DenseBlock; expected a MadeBlock');
    expect(made({ channels: 2, transformer: tanh() })).toThrow('expected a transformer');
    expect(() => new Autoregressive({ conditioner }).forward(zeros([1, 3]))).toThrow(ShapeError);
  });
});

/** What record-made.py writes: weights of a library's transform, and what it computes with them. */
interface Recorded {
  readonly layers: readonly {
    readonly w: number[][];
    readonly b: number[];
    readonly mask: number[][];
  }[];
  readonly contexts: readonly { readonly w: number[][]; readonly b: number[] }[];
  readonly x: number[][];
  readonly context?: number[][];
  readonly y: number[][];
  readonly logdet: number[];
  readonly dx: number[][];
}

const recorded: Readonly<Record<string, Recorded>> = JSON.parse(
  readFileSync(new URL('recorded/made.json', import.meta.url), 'utf8'),
);

/**
 * Puts the weights of a library into a block. Its units stand as they come, ours in the order in which they can be
 * computed: sorted by the last pass that they see, the first ones first. Its results lie side by side for each
 * channel, `results` naming those that ours are; ours are less by `ahead`, where we add that ourselves.
 */
function take(
  block: MadeBlock,
  { layers, contexts }: Recorded,
  results: readonly number[],
  ahead: readonly number[],
): void {
  const { channels, channelOrder, contextLayers } = block;
  const joined = layers[0]!.w[0]!.length - channels;
  const passOf = new Map(channelOrder.map((channel, place) => [channel, place]));
  let columns = [...channelOrder, ...Array.from({ length: joined }, (_, c) => channels + c)];
  /** For each column, the place of the last channel that it knows of, −1 for none. */
  let known = [...Array(channels + joined).keys()].map((c) => passOf.get(c) ?? -1);
  const set = (p: Parameter, values: readonly (readonly number[])[] | readonly number[]) =>
    p.assign(tensor(values as number[]));
  for (const [i, { w, b, mask }] of layers.entries()) {
    const last = i === layers.length - 1;
    const knows = mask.map((row) => Math.max(-1, ...row.map((on, c) => (on ? known[c]! : -1))));
    const rows = last
      ? results.flatMap((j) => channelOrder.map((c) => c * results.length + j))
      : [...knows.keys()].sort((u, v) => knows[u]! - knows[v]!);
    set(
      block.layers[i]!.w,
      rows.map((r) => columns.map((c) => w[r]![c]!)),
    );
    set(
      block.layers[i]!.b,
      rows.map((r) => b[r]! - (last ? (ahead[r % results.length] ?? 0) : 0)),
    );
    if (!last)
      expect(numbers(block.layers[i]!.mask.data)).toEqual(
        rows.flatMap((r) => columns.map((c) => mask[r]![c]!)),
      );
    if (i === 0 || i % 2 === 1) {
      const context = contexts[((i + 1) / 2) | 0];
      const own = contextLayers[((i + 1) / 2) | 0];
      if (context && own) {
        set(
          own.w,
          rows.map((r) => context.w[r]!),
        );
        set(
          own.b,
          rows.map((r) => context.b[r]!),
        );
      }
    }
    columns = rows;
    known = knows;
  }
}

describe('the weights of other libraries', () => {
  const nflows = { transformer: new AffineTransformer({ scaleFunction: softplus({ low: 1e-3 }) }) };
  const zuko = {
    transformer: new AffineTransformer({ scaleFunction: softsignClamp({ clamp: Math.log(1000) }) }),
  };
  const graph = [
    [0, 0, 1, 0],
    [0, 0, 0, 0],
    [0, 1, 0, 0],
    [1, 0, 0, 0],
  ];
  const adjacency = graph.map((row) => row.map((edge) => edge > 0));
  const spline = (options: RationalQuadraticSplineOptions) => ({
    transformer: new RationalQuadraticSpline({ bins: 3, ...options }),
  });
  // Our slopes are 1 for a zero.
  const one = Math.log(Math.exp(0.999) - 1);
  const ahead = [0, 0, 0, 0, 0, 0, one, one];
  const least = { minWidth: 0, minHeight: 0, minSlope: 0 };
  const added = { contextChannels: 2, context: 'added' } as const;
  const joined = { contextChannels: 2 };
  it.each<[string, AutoregressiveOptions]>([
    ['nflows', { ...nflows, ...added, channels: 3, blocks: 'preactivated', hidden: [5, 5] }],
    ['nflows, no residual blocks', { ...nflows, channels: 4, hidden: [5, 5] }],
    [
      'nflows, splines',
      { ...spline({ bound: 2 }), channels: 3, blocks: 'preactivated', hidden: [5] },
    ],
    ['zuko', { ...zuko, ...joined, channels: 3, order: [1, 2, 0], hidden: [5, 4] }],
    ['zuko, graph', { ...zuko, channels: 4, adjacency, hidden: [6] }],
    ['zuko, residual', { ...zuko, ...joined, channels: 3, blocks: 'residual', hidden: [5, 5] }],
    [
      'zuko, splines',
      { ...spline({ ...least, bound: 5, softClamp: Math.log(1000) }), channels: 3, hidden: [6] },
    ],
  ])('of %s give the same numbers', (name, options) => {
    const layer = new Autoregressive(options);
    const expected = recorded[name]!;
    const results = [...Array(layer.transformer.size).keys()];
    // zuko has the shift before the scale.
    take(
      layer.conditioner,
      expected,
      layer.transformer === zuko.transformer ? results.reverse() : results,
      name === 'nflows, splines' ? ahead : [],
    );
    const context = expected.context && tensor(expected.context);
    const { y, logdet } = layer.forward(tensor(expected.x), context);
    expect(gap(y, tensor(expected.y))).toBeLessThan(1e-12);
    expect(gap(logdet, tensor(expected.logdet))).toBeLessThan(1e-12);
    // The loss is ‖y‖² + ‖logdet‖².
    const back = layer.backward(y, affine(y, 2), {
      dlogdet: affine(logdet, 2),
      ...(context && { context }),
    });
    expect(gap(back.x, tensor(expected.x))).toBeLessThan(1e-11);
    expect(gap(back.dx, tensor(expected.dx))).toBeLessThan(1e-10);
  });
});
