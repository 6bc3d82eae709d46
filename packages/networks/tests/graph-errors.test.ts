/** What a graph refuses, naming the node, and its picture. */
import {
  ActNorm,
  BasicCoupling,
  ConditionalGlowCoupling,
  CustomBlock,
  DenseBlock,
  Identity,
} from '@invnet/layers';
import { ShapeError, setBackend, ValueError, zeros } from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { GraphNetwork, type GraphNode, graph, graphSvg } from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const x: GraphNode = { kind: 'input', name: 'x', shape: [4] };
const y = (input: string): GraphNode => ({ kind: 'output', name: 'y', inputs: [input] });
const node = (name: string, input: string, conditions: readonly string[] = []): GraphNode => ({
  kind: 'module',
  name,
  inputs: [input],
  ...(conditions.length > 0 && { conditions }),
  module: conditions.length > 0 ? conditional(4, 4) : new Identity(),
});
const conditional = (channels: number, contextChannels: number) =>
  new ConditionalGlowCoupling({ channels, contextChannels, hidden: 2, ndims: 0 });
const block = (inChannels: number) => new DenseBlock({ inChannels, hidden: 2, outChannels: 2 });
const pair = () => new BasicCoupling({ channels: [2, 2], hidden: 2, ndims: 0 });

describe('a graph that is wrong names the node', () => {
  const wrong: [string, readonly unknown[], RegExp][] = [
    [
      'a cycle',
      [x, node('a', 'b'), node('b', 'a'), y('x')],
      /'[ab]' → '[ba]' → '[ab]' form a cycle/,
    ],
    [
      'a state that is a condition of what moves it on',
      [
        x,
        { kind: 'feature', name: 'f', inputs: ['x'], module: block(4) },
        { ...node('a', 'x', ['f']), module: conditional(4, 2) },
        y('a'),
      ],
      /'a' → 'a' form a cycle.*nor be moved on before it/,
    ],
    [
      'a state that is a condition behind what moves it on',
      [
        x,
        node('a', 'x'),
        { kind: 'split', name: 's', inputs: ['a'], sizes: [2, 2] },
        { kind: 'concat', name: 'j', inputs: ['s.0', 'b'] },
        {
          kind: 'module',
          name: 'b',
          inputs: ['s.1'],
          conditions: ['x'],
          module: conditional(2, 4),
        },
        y('j'),
      ],
      /form a cycle/,
    ],
    [
      'an output that is not used',
      [x, { kind: 'split', name: 's', inputs: ['x'], sizes: [1, 3] }, y('s.1')],
      /node 's': its output 's.0' is not used; expected a node that takes it as an input, or an output/,
    ],
    [
      'a condition that is not used',
      [x, { kind: 'condition', name: 'c', shape: [2] }, y('x')],
      /node 'c'.*not used; expected a node that has it as a condition/,
    ],
    [
      'two inputs to one port',
      [x, node('a', 'x'), node('b', 'x'), y('a')],
      /node 'x': its output 'x' goes to 'a' and 'b', which would be two inputs to one port/,
    ],
    [
      'one that is read twice',
      [x, { kind: 'concat', name: 'j', inputs: ['x', 'x'] }, y('j')],
      /'j' twice/,
    ],
    [
      'a name that nothing has',
      [x, y('z')],
      /node 'y' reads 'z', which no node gives; expected one of 'x'/,
    ],
    [
      'a number that a node has not',
      [x, { kind: 'split', name: 's', inputs: ['x'], sizes: [2, 2] }, y('s')],
      /expected one of 'x', 's.0', 's.1'/,
    ],
    ['two nodes of one name', [x, x, y('x')], /two nodes are called 'x'/],
    ['no input', [], /no inputs/],
    ['no output', [{ ...x, kind: 'condition', name: 'c' }], /node 'c'.*not used/],
    [
      'a condition as an input',
      [x, { kind: 'condition', name: 'c', shape: [2] }, node('a', 'c'), y('x')],
      /node 'a' takes 'c' as an input, which is a condition; .*conditions: \['c'\]/,
    ],
    [
      'wrong channels',
      [x, { ...node('norm', 'x'), module: new ActNorm({ channels: 3 }) }, y('norm')],
      /node 'norm': ActNorm: got \[1, 4\] with 4 channels; expected 3/,
    ],
    [
      'wrong channels of what a feature is made from',
      [
        x,
        { kind: 'condition', name: 'c', shape: [2] },
        { kind: 'feature', name: 'f', inputs: ['c'], module: block(3) },
        { ...node('a', 'x', ['f']), module: conditional(4, 2) },
        y('a'),
      ],
      /node 'f': .*expected \[N, 3\]|node 'f': .*3/,
    ],
    [
      'one state for a pair',
      [
        x,
        { kind: 'module', name: 'p', inputs: ['x'], module: pair() },
        { kind: 'concat', name: 'j', inputs: ['p.0', 'p.1'] },
        y('j'),
      ],
      /node 'p': 1 inputs for BasicCoupling, which takes 2/,
    ],
    [
      'sizes that do not add up',
      [
        x,
        { kind: 'split', name: 's', inputs: ['x'], sizes: [2, 1] },
        y('s.0'),
        { ...y('s.1'), name: 'z' },
      ],
      /node 's': sizes \[2, 1\] add up to 3; expected 4, the size of axis 1 of \[4\]/,
    ],
    [
      'what cannot be joined',
      [
        x,
        { kind: 'input', name: 'w', shape: [4, 2] },
        { kind: 'concat', name: 'j', inputs: ['x', 'w'] },
        y('j'),
      ],
      /node 'j': got \[4\] and \[4, 2\] per sample, to be joined along axis 1/,
    ],
    [
      'conditions that cannot be joined',
      [
        x,
        { kind: 'condition', name: 'c', shape: [2] },
        { kind: 'condition', name: 'd', shape: [2, 3] },
        node('a', 'x', ['c', 'd']),
        y('a'),
      ],
      /node 'a': got \[2\] and \[2, 3\]/,
    ],
    [
      'a condition that has no use',
      [
        x,
        { kind: 'condition', name: 'c', shape: [2] },
        { ...node('a', 'x', ['c']), module: new Identity() },
        y('a'),
      ],
      /node 'a': it has conditions, but its Identity uses no context/,
    ],
    [
      'a block that does not say its shape',
      [
        x,
        { kind: 'condition', name: 'c', shape: [2] },
        {
          kind: 'feature',
          name: 'f',
          inputs: ['c'],
          module: new CustomBlock({
            forward: (u) => ({ y: u, saved: {} }),
            backward: (dy) => ({ dx: dy }),
          }),
        },
        { ...node('a', 'x', ['f']), module: conditional(4, 2) },
        y('a'),
      ],
      /node 'f': CustomBlock does not say which shape/,
    ],
    [
      'an axis that is none',
      [x, { kind: 'concat', name: 'j', inputs: ['x'], axis: 2 }, y('j')],
      /node 'j': axis is 2/,
    ],
    [
      'a kind that there is not',
      [{ ...x, kind: 'source' }],
      /node 'x': kind is 'source'; expected one of 'input'/,
    ],
    ['a field that there is not', [{ ...x, size: 3 }], /node 'x': there is no option 'size'/],
    [
      'a name that is a number',
      [{ ...x, name: '7' }],
      /called '7'; expected a name that is no number/,
    ],
    ['a shape without an axis', [{ ...x, shape: [] }], /node 'x': the shape is \[\]/],
    [
      'a module that is none',
      [x, { ...node('a', 'x'), module: block(4) }, y('a')],
      /node 'a': module is a DenseBlock; expected a bijection/,
    ],
  ];

  it.each(wrong)('%s', (_, nodes, message) => {
    const make = () => new GraphNetwork({ nodes: nodes as readonly GraphNode[] });
    expect(make).toThrow(message);
    expect(make).toThrow(/^GraphNetwork/);
  });

  it('where the line stands that builds it', () => {
    const g = graph();
    const a = g.input('a', [2]);
    expect(() => g.node('norm', a, new ActNorm({ channels: 3 }))).toThrow(
      /node 'norm'.*expected 3/,
    );
    expect(() => g.input('a', [2])).toThrow(/node 'a': there is one already/);
    const stranger = graph().input('b', [2]);
    expect(() => g.output('y', stranger)).toThrow(/node 'y': it reads an object; expected a port/);
    // What failed has left nothing.
    g.output('norm', g.node('same', a, new Identity()));
    expect(g.build().shapes).toEqual({ a: [2], same: [2], norm: [2] });
  });

  it('and when it runs, the path', () => {
    class Broken extends Identity {
      static override readonly type: string = 'Broken';
      protected override apply(): never {
        throw new ValueError('Broken: it is.');
      }
    }
    const g = graph();
    g.output('y', g.node('here', g.input('x', [2]), new Broken()));
    const net = g.build();
    expect(() => net.forward(zeros([1, 2]))).toThrow(/it is\. \(at 'here' of GraphNetwork\)/);
    expect(() => net.forwardAll({ x: zeros([1, 2]) })).toThrow(/\(at 'here' of GraphNetwork\)/);
  });

  it('records are those of its ends', () => {
    const g = graph();
    const c = g.condition('c', [3]);
    g.output('y', g.node('a', g.input('x', [2]), conditional(2, 3), { conditions: [c] }));
    g.output('w', g.input('z', [1]));
    const net = g.build();
    const right = { x: zeros([2, 2]), z: zeros([2, 1]) };
    const conditions = { c: zeros([2, 3]) };
    const forward =
      (inputs: object, given: object = conditions) =>
      () =>
        net.forwardAll(inputs as Record<string, never>, given as Record<string, never>);
    forward(right)();
    expect(forward({ x: right.x })).toThrow(/'z' of the inputs is undefined; expected a tensor/);
    expect(forward({ ...right, u: right.x })).toThrow(/no 'u' among the inputs; expected { x, z }/);
    expect(forward({ ...right, z: zeros([3, 1]) })).toThrow(ShapeError);
    expect(forward(right, {})).toThrow(/'c' of the conditions/);
    expect(forward(right, { c: zeros([2, 4]) })).toThrow(/is \[2, 4\]; expected \[2, 3\]/);
    const outputs = { y: right.x, w: right.z };
    const back = (options: object) => () =>
      net.backwardAll(outputs, outputs, { conditions, ...options });
    expect(back({ dlogdet: zeros([3]) })).toThrow(/dlogdet is \[3\]; expected \[2\]/);
    expect(back({ dlogdets: { x: zeros([2]) } })).toThrow(/no 'x' among the dlogdets/);
    expect(() => net.unpack('inputs', zeros([2, 4]))).toThrow(/'x' \[2\], 'z' \[1\] per sample/);
  });
});

describe('graphSvg', () => {
  const g = graph();
  const c = g.condition('c & d', [2]);
  const feature = g.feature('f<1>', c, block(2));
  const [a, b] = g.split('halve', g.input('x', [4]), { sizes: [2, 2] });
  const [u, v] = g.node('pair', [a, b], pair());
  const w = g.node('see', v, conditional(2, 4), { conditions: [feature, c] });
  g.output('y', g.concat('join', [u, w]));

  it('has each node once, below what it reads, apart from others in its row', () => {
    const svg = graphSvg(g.build());
    expect(svg).toMatch(/^<svg[\s\S]*<\/svg>\n$/);
    const boxes = [...svg.matchAll(/<rect x="([\d.]+)" y="(\d+)" width="([\d.]+)"/g)].map(
      ([, left, top, width]) => ({ left: Number(left), top: Number(top), width: Number(width) }),
    );
    const names = [...svg.matchAll(/font-weight="600"[^>]*>([^<]+)</g)].map(([, name]) => name!);
    expect(names).toEqual(['c &amp; d', 'f&lt;1&gt;', 'x', 'halve', 'pair', 'see', 'join', 'y']);
    expect(svg).toContain('>ConditionalGlowCoupling [2]<');
    const top = (name: string) => boxes[names.indexOf(name)]!.top;
    for (const [upper, lower] of [
      ['x', 'halve'],
      ['halve', 'pair'],
      ['f&lt;1&gt;', 'see'],
      ['pair', 'see'],
      ['join', 'y'],
    ] as const) {
      expect(top(upper)).toBeLessThan(top(lower));
    }
    for (const [i, one] of boxes.entries()) {
      for (const other of boxes.slice(i + 1).filter((o) => o.top === one.top)) {
        const apart =
          Math.max(one.left, other.left) - Math.min(one.left + one.width, other.left + other.width);
        expect(apart).toBeGreaterThan(0);
      }
    }
    expect(svg.match(/stroke-dasharray/g)).toHaveLength(3);
    expect(svg).not.toMatch(/NaN|undefined/);
  });

  it('draws graphs only', () => {
    expect(() => graphSvg(new Identity() as never)).toThrow(
      /got an Identity; expected a GraphNetwork/,
    );
  });
});
