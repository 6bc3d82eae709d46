/** Graphs of modules: what the table of derivatives does not see. Its rows are in packages/jvp/tests/rows/graphs.ts. */
import {
  ActNorm,
  build,
  ConditionalGlowCoupling,
  copyModule,
  DenseBlock,
  describe as describeModule,
  GlowCoupling,
  HaarSqueeze,
  Identity,
  initialize,
  type Json,
  moduleAt,
  Permutation,
  Reshape,
  replacePart,
  Sequential,
  summary,
  Unflattened,
  zeroGrad,
} from '@invnet/layers';
import {
  affine,
  concat,
  memory,
  RandomStream,
  type Shape,
  setBackend,
  sum,
  type Tensor,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { type GraphNetwork, graph, networkCatalogue, type Tensors } from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const random = () => new RandomStream(3);
const conditional = (channels: number, contextChannels: number, ndims = 0) =>
  new ConditionalGlowCoupling({ channels, contextChannels, hidden: 3, ndims, random: random() });
const scaled = (channels: number, seed: number) => {
  const layer = new ActNorm({ channels });
  for (const p of layer.parameters) p.assign(new RandomStream(seed).uniform(p.shape, 0.5, 2));
  return layer;
};
const drawn = (shapes: Readonly<Record<string, Shape>>, seed: number): Tensors => {
  const stream = new RandomStream(seed);
  return Object.fromEntries(Object.entries(shapes).map(([name, s]) => [name, stream.normal(s)]));
};
const close = (a: Tensor, b: Tensor) => {
  expect(a.shape).toEqual(b.shape);
  const other = b.dataSync();
  a.dataSync().forEach((v, i) => {
    expect(v).toBeCloseTo(other[i]!, 10);
  });
};
/** Directions, or gradients, of the shapes of a record. */
const like = (tensors: Tensors) =>
  drawn(Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, t.shape])), 11);
const numbersOf = (tensors: Tensors, names = Object.keys(tensors)) =>
  names.flatMap((name) => [...tensors[name]!.dataSync()]);

/** FrEIA's test of a complex graph: a path of its own for each part, one of them on vectors, one with a condition. */
function complex(): GraphNetwork {
  const g = graph();
  const x = g.input('input', [3, 4, 6]);
  const c = g.condition('cond', [1, 4, 6]);
  const [one, two] = g.split('split1', x, { sizes: [1, 2] });
  const flat1 = g.node('flatten1', one, new Reshape({ from: [1, 4, 6] }));
  const order = { channels: 24, order: 'random', random: random() } as const;
  const turned = g.node('perm', flat1, new Permutation(order));
  const image1 = g.node('unflatten1', turned, new Reshape({ from: [24], to: [1, 4, 6] }));
  const coupled = g.node('conv', two, conditional(2, 1, 2), { conditions: [c] });
  const flat2 = g.node('flatten2', coupled, new Reshape({ from: [2, 4, 6] }));
  const dense = new GlowCoupling({ channels: 48, hidden: 3, ndims: 0, random: random() });
  const mixed = g.node('linear', flat2, dense);
  const image2 = g.node('unflatten2', mixed, new Reshape({ from: [48], to: [2, 4, 6] }));
  const joined = g.concat('concat', [image1, image2]);
  g.output('output', g.node('haar', joined, new HaarSqueeze()));
  return g.build();
}

/** Two inputs, three outputs, two conditions of different shapes; one path of its own, and two that part late. */
function several(): GraphNetwork {
  const g = graph();
  const a = g.input('a', [2]);
  const b = g.input('b', [4, 3]);
  const c = g.condition('c', [3]);
  const d = g.condition('d', [1, 3]);
  const seen = g.feature('seen', c, new DenseBlock({ inChannels: 3, hidden: 4, outChannels: 2 }));
  g.output('alone', g.node('left', a, conditional(2, 2), { conditions: [seen] }));
  const mixed = g.node('right', b, conditional(4, 1, 1), { conditions: [d] });
  const [first, second] = g.split('halve', mixed, { sizes: [1, 2], axis: 2 });
  g.output('first', first);
  g.output('second', g.node('last', second, scaled(4, 6)));
  return g.build();
}

const sizesOf = {
  inputs: { a: [5, 2], b: [5, 4, 3] },
  conditions: { c: [5, 3], d: [5, 1, 3] },
};

describe('GraphNetwork', () => {
  it('is what FrEIA tests of its graphs: shapes, inverses, conditions of inner nodes', () => {
    const net = complex();
    const [x, c] = [random().normal([2, 3, 4, 6]), random().normal([2, 1, 4, 6])];
    const { y, logdet } = net.forward(x, c);
    expect(y.shape).toEqual([2, 12, 2, 3]);
    const back = net.inverse(y, c);
    close(back.x, x);
    close(back.logdet, affine(logdet, -1));
    expect(() => net.forward(x)).toThrow(/a context that holds 'cond', got none/);
    expect(() => net.forward(x, zeros([2, 1, 4, 5]))).toThrow(/the context: got \[2, 1, 4, 5\]/);
    expect(() => net.forward(zeros([2, 3, 4, 4]), c)).toThrow(/'input' \[3, 4, 6\] per sample/);
    expect(summary(net, { input: [2, 3, 4, 6] })).toMatch(/haar .*\[2, 12, 2, 3\]/);
  });

  it('joins the conditions of a node, which are of other shapes than those of another', () => {
    const g = graph();
    const x = g.input('input', [3, 2, 2]);
    const [c1, c2, c3] = [
      g.condition('c1', [1, 2, 2]),
      g.condition('c2', [5]),
      g.condition('c3', [2]),
    ];
    const conv = g.node('conv::c1', x, conditional(3, 1, 2), { conditions: [c1] });
    const flat = g.node('flatten', conv, new Reshape({ from: [3, 2, 2] }));
    g.output('y', g.node('linear::c2|c3', flat, conditional(12, 7), { conditions: [c2, c3] }));
    const net = g.build();
    const given = drawn({ c1: [2, 1, 2, 2], c2: [2, 5], c3: [2, 2] }, 3);
    const inputs = drawn({ input: [2, 3, 2, 2] }, 4);
    const { outputs } = net.forwardAll(inputs, given);
    close(net.inverseAll(outputs, given).inputs.input!, inputs.input!);
    const { values } = net.intermediate(inputs, given);
    const last = moduleAt(net, 'linear::c2|c3') as ConditionalGlowCoupling;
    close(outputs.y!, last.forward(values.flatten!, concat([given.c2!, given.c3!], 1)).y);
    expect(() => net.forwardAll(inputs, { ...given, c2: given.c3! })).toThrow(/'c2' of the cond/);
  });

  it('gives what is on the way, and the log-determinants of its modules', () => {
    const net = complex();
    const inputs = { input: random().normal([2, 3, 4, 6]) };
    const conditions = { cond: random().normal([2, 1, 4, 6]) };
    const { values, logdets } = net.intermediate(inputs, conditions);
    const modules = net.nodes.flatMap((node) => (node.kind === 'module' ? [node.name] : []));
    expect(Object.keys(logdets).sort()).toEqual(modules.sort());
    const names = [...modules, 'split1.0', 'split1.1', 'concat'];
    expect(Object.keys(values).sort()).toEqual(names.sort());
    const { outputs, logdet } = net.forwardAll(inputs, conditions);
    close(values.haar!, outputs.output!);
    const own = (moduleAt(net, 'linear') as GlowCoupling).forward(values.flatten2!);
    close(values.linear!, own.y);
    const parts = Object.values(logdets).map((t) => t.dataSync()[0]!);
    expect(parts.reduce((a, b) => a + b)).toBeCloseTo(logdet.dataSync()[0]!, 12);
  });

  it('maps records as it maps single tensors', () => {
    const net = several();
    const [inputs, conditions] = [drawn(sizesOf.inputs, 1), drawn(sizesOf.conditions, 2)];
    const context = net.pack('conditions', conditions);
    const x = net.pack('inputs', inputs);
    expect([x.shape, context.shape]).toEqual([
      [5, 14],
      [5, 6],
    ]);
    const { outputs, logdet } = net.forwardAll(inputs, conditions);
    const { y, logdet: same } = net.forward(x, context);
    close(net.pack('outputs', outputs), y);
    close(logdet, same);
    expect(Object.keys(net.unpack('outputs', y))).toEqual(['alone', 'first', 'second']);
    const back = net.inverseAll(outputs, conditions);
    close(net.pack('inputs', back.inputs), x);
    expect(numbersOf(back.logdets)).toHaveLength(10);

    const dlogdet = random().normal([5]);
    const gradients = drawn({ alone: [5, 2], first: [5, 4, 1], second: [5, 4, 2] }, 4);
    const made = net.backwardAll(outputs, gradients, { dlogdet, conditions });
    const grads = net.parameters.map((p) => [...p.grad!.dataSync()]);
    zeroGrad(net.parameters);
    const dy = net.pack('outputs', gradients);
    const single = net.backward(y, dy, { dlogdet, context });
    close(net.pack('inputs', made.inputs), single.x);
    close(net.pack('inputs', made.gradients), single.dx);
    close(net.pack('conditions', made.dconditions), single.dcontext!);
    expect(net.parameters.map((p) => [...p.grad!.dataSync()])).toEqual(grads);
    const inverse = net.backwardInverseAll(inputs, drawn(sizesOf.inputs, 9), { conditions });
    close(net.pack('outputs', inverse.outputs), y);
  });

  it('parts log-determinants by the paths to its ends, and takes gradients of the parts', () => {
    const net = several();
    const [inputs, conditions] = [drawn(sizesOf.inputs, 1), drawn(sizesOf.conditions, 2)];
    const { outputs, logdets, logdet } = net.forwardAll(inputs, conditions);
    const of = net.intermediate(inputs, conditions).logdets;
    const at = (t: Tensor | undefined) => t!.dataSync()[0]!;
    expect(at(logdets.alone)).toBeCloseTo(at(of.left), 12);
    expect(at(logdets.first)).toBeCloseTo(at(of.right), 12);
    expect(at(logdets.second)).toBeCloseTo(at(of.right) + at(of.last), 12);
    expect(at(logdet)).toBeCloseTo(at(of.left) + at(of.right) + at(of.last), 12);

    // ⟨Jᵀg, t⟩ = ⟨g, J t⟩ for outputs, log-determinants in parts and in all, and conditions, both ways.
    const states = drawn(sizesOf.inputs, 5);
    const moved = drawn(sizesOf.conditions, 6);
    const gradients = drawn({ alone: [5, 2], second: [5, 4, 2] }, 7);
    const dlogdets = drawn({ first: [5], second: [5] }, 8);
    const dlogdet = random().normal([5]);
    const product = (a: Tensors, b: Tensors) =>
      numbersOf(a).reduce((total, v, i) => total + v * numbersOf(b, Object.keys(a))[i]!, 0);
    const down = net.jvpAll(inputs, { states, conditions: moved }, conditions);
    const up = net.backwardAll(outputs, gradients, { dlogdet, dlogdets, conditions });
    const left = product(states, up.gradients) + product(moved, up.dconditions);
    const right =
      product(gradients, down.directions) +
      product(dlogdets, down.dlogdets) +
      product({ dlogdet }, { dlogdet: down.dlogdet });
    expect(left).toBeCloseTo(right, 9);

    const parts = drawn({ b: [5] }, 10);
    const directions = like(outputs);
    const back = net.jvpInverseAll(outputs, { states: directions }, conditions);
    const again = net.backwardInverseAll(inputs, {}, { dlogdets: parts, conditions });
    expect(product(directions, again.gradients)).toBeCloseTo(product(parts, back.dlogdets), 9);
  });

  it('takes one condition for all samples', () => {
    const net = several();
    const inputs = drawn(sizesOf.inputs, 1);
    const c = random().normal([1, 3]);
    const conditions = { ...drawn(sizesOf.conditions, 2), c };
    const { outputs } = net.forwardAll(inputs, conditions);
    const { dconditions } = net.backwardAll(outputs, outputs, { conditions });
    expect(Object.values(dconditions).map((t) => t.shape)).toEqual([
      [1, 3],
      [5, 1, 3],
    ]);
    const repeated = { ...conditions, c: concat([c, c, c, c, c], 0) };
    const each = net.backwardAll(outputs, outputs, { conditions: repeated });
    close(dconditions.c!, sum(each.dconditions.c!, { axes: [0], keepDims: true }));
  });

  it('sees states as conditions, found in both directions', () => {
    const g = graph();
    const [a, b] = g.split('split', g.input('input1', [4]), { sizes: [2, 2] });
    const block = () => new DenseBlock({ inChannels: 2, hidden: 3, outChannels: 2 });
    // Declared before what it waits for on the way back.
    const uncoupled = g.node('uncoupled', a, scaled(2, 4));
    const [one, two] = [g.feature('cond1', a, block()), g.feature('cond2', a, block())];
    const coupled = g.node('coupled1', b, conditional(2, 2), { conditions: [one] });
    const again = g.node('coupled2', coupled, conditional(2, 4), { conditions: [two, a] });
    g.output('out', g.concat('merge', [uncoupled, again]));
    const net = g.build();
    const x = random().normal([3, 4]);
    const { y } = net.forward(x);
    close(net.inverse(y).x, x);
    expect(net.usesContext).toBe(false);
  });

  it('leaves a context alone that is for the layers beside it', () => {
    const g = graph();
    g.output('y', g.node('norm', g.input('x', [2]), scaled(2, 4)));
    const net = new Sequential([g.build(), conditional(2, 3)]);
    const [x, context] = [random().normal([3, 2]), random().normal([3, 3])];
    const { y } = net.forward(x, context);
    const { x: back, dcontext } = net.backward(y, y, { context });
    close(back, x);
    expect(dcontext!.shape).toEqual([3, 3]);
    net.jvp(x, { x, context }, context);
  });

  it('owns what it returns, and leaves nothing behind', () => {
    const g = graph();
    const [x, c] = [g.input('x', [2]), g.condition('c', [1])];
    g.output('same', x);
    g.output('other', g.node('couple', g.input('z', [2]), conditional(2, 1), { conditions: [c] }));
    const net = g.build();
    const inputs = drawn({ x: [3, 2], z: [3, 2] }, 1);
    const conditions = drawn({ c: [3, 1] }, 2);
    const before = memory();
    const all = [
      net.forwardAll(inputs, conditions),
      net.jvpAll(inputs, { states: inputs }, conditions),
    ];
    const { outputs } = all[0]!;
    const back = net.backwardAll(outputs, outputs, { conditions });
    expect(outputs.same).not.toBe(inputs.x);
    expect(back.gradients.x).not.toBe(outputs.same);
    const tensors = [...all, back, net.intermediate(inputs, conditions)]
      .flatMap((made) => Object.values(made))
      .flatMap((made) => ('shape' in made ? [made as Tensor] : Object.values(made as Tensors)));
    for (const t of tensors) t.dispose();
    zeroGrad(net.parameters);
    expect(memory()).toMatchObject({ liveBytes: before.liveBytes, tensors: before.tensors });
    inputs.x!.dataSync();
  });

  it('is plain data, in any order of the nodes, and has its parts replaced', () => {
    const net = several();
    const config = describeModule(net);
    const nodes = config.nodes as readonly Json[];
    expect(nodes[8]).toEqual({
      kind: 'split',
      name: 'halve',
      inputs: ['right'],
      sizes: [1, 2],
      axis: 2,
    });
    const turned = build(
      { ...config, nodes: nodes.toReversed() },
      {
        modules: networkCatalogue,
      },
    ) as GraphNetwork;
    const [inputs, conditions] = [drawn(sizesOf.inputs, 1), drawn(sizesOf.conditions, 2)];
    expect(Object.keys(turned.forwardAll(inputs, conditions).outputs)).toEqual([
      'second',
      'first',
      'alone',
    ]);
    const same = copyModule(net);
    const { outputs } = net.forwardAll(inputs, conditions);
    expect(numbersOf(same.forwardAll(inputs, conditions).outputs)).toEqual(numbersOf(outputs));
    const other = replacePart(net, 'last', new Identity());
    const { values } = net.intermediate(inputs, conditions);
    close(other.forwardAll(inputs, conditions).outputs.second!, values['halve.1']!);
    expect(JSON.stringify(describeModule(other))).toContain('"module":{"$type":"Identity"}');
  });

  it('is a node of another graph, a pair of states in and out', () => {
    const pairs = graph();
    const [u, v] = [pairs.input('u', [2]), pairs.input('v', [3])];
    pairs.output('u2', pairs.node('left', u, scaled(2, 4)));
    pairs.output('v2', pairs.node('right', v, scaled(3, 5)));
    const g = graph();
    const inner = new Unflattened(pairs.build(), [[2], [3]]);
    const [a, b] = g.split('split', g.input('x', [5]), { sizes: [2, 3] });
    g.output('y', g.concat('join', g.node('pairs', [a, b], inner)));
    const net = g.build();
    expect(net.parameters.map((p) => p.name)).toContain('pairs.left.scale');
    const x = random().normal([2, 5]);
    close(net.inverse(net.forward(x).y).x, x);
  });

  it('is set by data in the order in which they meet it', async () => {
    const g = graph();
    const [a, b] = g.split('halve', g.input('x', [4]), { sizes: [2, 2] });
    const normed = g.node('norm', a, new ActNorm({ channels: 2 }));
    g.output('y', g.concat('join', [normed, g.node('late', b, new ActNorm({ channels: 2 }))]));
    const net = g.build();
    await initialize(net, affine(random().normal([64, 4]), 3, 1));
    const { y } = net.forward(affine(random().normal([64, 4]), 3, 1));
    expect(Math.abs(y.dataSync().reduce((s, w) => s + w) / 256)).toBeLessThan(1e-9);
  });
});
