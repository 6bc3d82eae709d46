/** The tree of a network: paths, identities, surgery, freezing, the table. */
import { add, memory, mul, ones, RandomStream, setBackend, type Tensor } from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  ActNorm,
  BasicCoupling,
  Bijection,
  ChannelHalves,
  Composite,
  Conv1x1,
  CustomBlock,
  compose,
  copyModule,
  countParameters,
  DenseBlock,
  describe as describeModule,
  Flag,
  freeze,
  GlowCoupling,
  HaarSqueeze,
  HintCoupling,
  Identity,
  moduleAt,
  namedBuffers,
  namedParameters,
  Parameter,
  ParameterMap,
  placesIn,
  ResNet,
  replacePart,
  reverse,
  Sequential,
  summary,
  unfreeze,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const coupling = (channels = 4) =>
  new GlowCoupling({ channels, ndims: 0, hidden: 3, random: new RandomStream(1) });
const norm = () => new ActNorm({ channels: 4 });
const names = (net: { parameters: readonly Parameter[] }) => net.parameters.map((p) => p.name);

describe('paths', () => {
  it('are those from the module that is asked, and wrapping changes none', () => {
    const inner = new Sequential({ norm: norm(), coupling: coupling() });
    const before = names(inner);
    expect(before.slice(0, 3)).toEqual(['norm.scale', 'norm.shift', 'coupling.conditioner.w1']);
    const outer = new Sequential({ first: new Identity(), net: inner });
    const wrapped = reverse(outer);
    expect(names(inner)).toEqual(before);
    expect(names(outer)).toEqual(before.map((name) => `net.${name}`));
    expect(names(wrapped)).toEqual(names(outer));
    expect(moduleAt(outer, 'net.coupling')).toBe(inner.at('coupling'));
    expect(() => moduleAt(outer, 'net.nothing')).toThrow(
      /no part at 'net.nothing'; expected one of net.norm, net.coupling/,
    );
  });

  it('are many for a part that stands at many places, which is one', () => {
    const shared = new DenseBlock({ inChannels: 2, hidden: 3, outChannels: 4 });
    const halves = () =>
      new ChannelHalves(new BasicCoupling({ channels: [2, 2], conditioner: shared }), [2, 2]);
    const net = new Sequential({ a: halves(), b: halves() });
    expect(net.parameters).toHaveLength(shared.parameters.length);
    expect(names(net).every((name) => name.startsWith('a.conditioner'))).toBe(true);
    const x = new RandomStream(1).normal([3, 4]);
    const { y } = net.forward(x);
    net.backward(y, ones(y.shape));
    // One gradient, under whatever name it is seen.
    const [p] = net.parameters;
    const [q] = shared.parameters;
    expect(p).not.toBe(q);
    expect(p!.identity).toBe(q!.identity);
    expect(p!.grad).toBe(q!.grad);
    expect(new ParameterMap([[p!, 1]]).get(q!)).toBe(1);
    q!.frozen = true;
    expect(p!.frozen).toBe(true);
  });

  it('are refused where two parts would have one, and names with dots in lists', () => {
    class Twice extends Composite {
      static readonly type: string = 'Twice';
      readonly a = new Parameter('w', ones([1]));
      readonly b = new Parameter('w', ones([1]));
      get options() {
        return {};
      }
      protected get whole() {
        return new Identity();
      }
    }
    expect(() => new Twice().parameters).toThrow(/two parts are called 'w'/);
    expect(() => new Sequential({ 'a.b': norm() })).toThrow(/the name is 'a.b'.*without dots/);
    expect(() => new Sequential({ '': norm() })).toThrow(/without dots/);
    expect(() => new Sequential({ b: norm(), 1: norm() })).toThrow(/called 1, b; expected names/);
    expect(() => new Sequential([norm(), {} as never])).toThrow(/layer '1' is an object/);
  });

  it('find buffers, which are no parameters', () => {
    const net = new Sequential({
      norm: new ActNorm({ channels: 2 }),
      halves: new GlowCoupling({
        channels: 2,
        conditioner: new ResNet({ inChannels: 1, hidden: 2, outChannels: 2, blocks: 1 }),
      }),
    });
    const buffers = namedBuffers(net);
    expect([...buffers.keys()]).toContain('norm.initialized');
    expect([...buffers.keys()]).toContain('halves.conditioner.blocks.0.0.norm.runningMean');
    expect(names(net).some((name) => name.includes('running'))).toBe(false);
    expect(buffers.get('norm.initialized')).toBeInstanceOf(Flag);
  });

  it('stand in errors, whatever module complains', () => {
    const net = new Sequential({
      a: norm(),
      b: new Sequential([new Identity(), new ActNorm({ channels: 3 })]),
    });
    const complain = () => net.forward(ones([2, 4]));
    expect(complain).toThrow(
      /ActNorm: got \[2, 4\] with 4 channels; expected 3. \(at 'b.1' of Sequential\)/,
    );
    // In what is printed of an error that nobody catches they stand once.
    try {
      complain();
    } catch (error) {
      expect(error instanceof Error && error.stack?.split("(at 'b.1'")).toHaveLength(2);
    }
  });
});

describe('a sequence', () => {
  it('is taken apart by positions, slices and names', () => {
    const [a, b, c] = [norm(), new Conv1x1({ channels: 4 }), coupling()];
    const net = new Sequential({ a, b, c });
    expect([net.length, net.at(0), net.at(-1), net.at('b')]).toEqual([3, a, c, b]);
    expect([...net]).toEqual([a, b, c]);
    expect(net.names).toEqual(['a', 'b', 'c']);
    expect(net.slice(1).names).toEqual(['b', 'c']);
    expect(net.slice(0, -1).layers).toEqual([a, b]);
    const numbered = compose(a, b, c);
    expect(numbered.slice(1).names).toEqual(['0', '1']);
    const x = new RandomStream(1).normal([2, 4]);
    const head = net.slice(0, 2).forward(x).y;
    expect(net.slice(2).forward(head).y.dataSync()).toEqual(net.forward(x).y.dataSync());
    expect(() => net.at('d')).toThrow(/no layer 'd'; expected one of 'a', 'b', 'c'/);
    expect(() => net.at(3)).toThrow(/no layer 3/);
    expect(() => net.slice(3)).toThrow(/at least one layer/);
  });
});

describe('copies', () => {
  it('have the numbers in memory of their own', () => {
    const net = new Sequential({ norm: norm(), coupling: coupling(), same: coupling() });
    const before = memory().tensors;
    const copy = copyModule(net);
    expect(memory().tensors - before).toBe(net.parameters.length);
    const x = new RandomStream(2).normal([2, 4]);
    expect(copy.forward(x).y.dataSync()).toEqual(net.forward(x).y.dataSync());
    copy.parameters[2]!.assign(ones(copy.parameters[2]!.shape));
    expect(copy.forward(x).y.dataSync()).not.toEqual(net.forward(x).y.dataSync());
    expect(names(copy)).toEqual(names(net));
  });

  it('with another part leave the original as it was, and the part that goes is freed', () => {
    const net = new Sequential([coupling(), coupling()]);
    const x = new RandomStream(2).normal([2, 4]);
    const expected = net.forward(x).y.dataSync();
    const before = memory().tensors;
    const wide = new DenseBlock({ inChannels: 2, hidden: 7, outChannels: 4 });
    const changed = replacePart(net, '1.conditioner', wide);
    expect(memory().tensors - before).toBe(12);
    expect((changed.at(1) as GlowCoupling).conditioner).toBe(wide);
    expect(net.forward(x).y.dataSync()).toEqual(expected);
    const again = replacePart(changed, '1', new Identity());
    expect(describeModule(again)).toEqual(
      describeModule(new Sequential([net.at(0), new Identity()])),
    );
    expect(again.forward(x).y.dataSync()).toEqual(net.at(0).forward(x).y.dataSync());
    expect(() => replacePart(net, '1.conditioner', new Identity())).toThrow(/another conditioner/);
    expect(() => replacePart(net, '1', wide)).toThrow(/another bijection/);
    expect(() => replacePart(net, '', new Identity())).toThrow(/path of a part/);
    expect(() => replacePart(net, '2', new Identity())).toThrow(/no part at '2'/);
    const pairs = new BasicCoupling({ channels: [2, 2], ndims: 0 });
    expect(() => replacePart(net, '1', pairs)).toThrow(/'1' is a map of tensors.*one of pairs/);
  });

  it('reach what a wrapper wraps, and the wrapper', () => {
    const [inner, other] = [norm(), norm()];
    other.shift.assign(ones([4]));
    const net = new Sequential({ back: reverse(inner) });
    expect(moduleAt(net, 'back').type).toBe('Reversed');
    expect(moduleAt(net, 'back.inner')).toBe(inner);
    expect(() => moduleAt(net, 'back.inner.inner')).toThrow(/no part/);
    const changed = replacePart(net, 'back.inner', other);
    expect(changed.forward(ones([1, 4])).y.dataSync()[0]).toBe(0);
    expect(changed.at('back').type).toBe('Reversed');
    const copied = copyModule(changed);
    expect(copied.forward(ones([1, 4])).y.dataSync()[0]).toBe(0);
    expect(
      summary(net)
        .split('\n')
        .map((line) => line.split(' ')[0]),
    ).toEqual(expect.arrayContaining(['back', 'back.inner']));
  });

  it('share custom blocks, which are not freed with a copy that lost them', () => {
    const w = new Parameter('w', ones([1]));
    const block = new CustomBlock({
      parameters: [w],
      forward: (x) => ({ y: mul(x, w.data), saved: { x } }),
      backward: (dy) => ({ dx: mul(dy, w.data) }),
    });
    const net = new Sequential([new GlowCoupling({ channels: 2, conditioner: block })]);
    const part = new DenseBlock({ inChannels: 1, hidden: 2, outChannels: 2 });
    replacePart(net, '0.conditioner', part);
    expect(w.data.disposed).toBe(false);
  });

  it('of networks that make their parts themselves can be changed as well', () => {
    const hint = new HintCoupling({ channels: 4, ndims: 0, hidden: 3, permute: 'full' });
    const x = new RandomStream(2).normal([2, 4]);
    const block = new DenseBlock({ inChannels: 2, hidden: 5, outChannels: 4 });
    const changed = replacePart(hint, 'recursion.coupling.conditioner', block);
    expect(names(changed)).toEqual(names(hint));
    expect(describeModule(changed).$parts).toEqual({
      'recursion.coupling.conditioner': describeModule(block),
    });
    expect(changed.forward(x).y.dataSync()).not.toEqual(hint.forward(x).y.dataSync());
    const { y } = changed.forward(x);
    const back = changed.inverse(y).x.dataSync();
    back.forEach((v, i) => {
      expect(v).toBeCloseTo(x.dataSync()[i]!, 10);
    });
  });
});

describe('freezing', () => {
  it('goes by paths and patterns of them', () => {
    const net = new Sequential({ norm: norm(), a: coupling(), b: coupling() });
    const frozen = () => net.parameters.filter((p) => p.frozen).map((p) => p.name);
    expect(freeze(net, 'norm')).toEqual(['norm.scale', 'norm.shift']);
    expect(freeze(net, '**.conditioner.b*')).toHaveLength(6);
    expect(frozen()).toHaveLength(8);
    expect(unfreeze(net, 'a.*.b1')).toEqual(['a.conditioner.b1']);
    expect(unfreeze(net, '**')).toHaveLength(14);
    expect(frozen()).toEqual([]);
    expect(() => freeze(net, 'nor')).toThrow(/no parameter matches 'nor'/);
    expect(() => freeze(net, 'a.c')).toThrow(/no parameter matches/);
    freeze(net, 'a');
    expect(countParameters(net)).toBe(8 + 2 * countParameters(coupling()));
    expect(countParameters(net, { trained: true })).toBe(8 + countParameters(coupling()));
  });

  it('stops gradients there, and nowhere else', () => {
    const net = new Sequential({ a: coupling(), b: coupling() });
    freeze(net, 'a');
    const { y } = net.forward(new RandomStream(1).normal([3, 4]));
    net.backward(y, y);
    for (const [path, p] of namedParameters(net)) {
      expect(p.grad !== undefined, path).toBe(path.startsWith('b'));
    }
  });
});

describe('the table', () => {
  it('has a line for each module, with shapes and numbers of parameters', () => {
    const net = new Sequential({
      squeeze: new HaarSqueeze(),
      norm: norm(),
      coupling: new GlowCoupling({ channels: 4, hidden: 3 }),
    });
    freeze(net, 'norm');
    const text = summary(net, { input: [2, 1, 4, 6] });
    const lines = text.split('\n');
    expect(lines[0]).toMatch(/^path +type +options +output +parameters$/);
    const line = (path: string) => lines.find((l) => l.startsWith(`${path} `))!;
    expect(line('norm')).toMatch(/ActNorm +channels 4 +\[2, 4, 2, 3\] +8$/);
    expect(line('(itself)')).toMatch(/Sequential +\[2, 4, 2, 3\] +\d+$/);
    expect(line('coupling.conditioner')).toMatch(/ResidualBlock.*hidden 3.*\[2, 4, 2, 3\]/);
    const all = countParameters(net);
    expect(lines.at(-1)).toBe(`${all} parameters, ${all - 8} of them trained`);
    expect(summary(net).split('\n')[0]).not.toContain('output');
    expect(() => summary(net, { input: [2, 1, 3, 6] })).toThrow(/even/);
  });
});

describe('training mode', () => {
  it('is one of the whole tree, whatever wraps it', () => {
    const block = new ResNet({ inChannels: 2, hidden: 2, outChannels: 4, blocks: 1 });
    const net = reverse(compose(new GlowCoupling({ channels: 4, conditioner: block }), norm()));
    expect(net.training).toBe(true);
    net.training = false;
    expect([...placesIn(net)].map(({ module }) => module.training)).not.toContain(true);
    expect(block.training).toBe(false);
    block.training = true;
    expect(net.training).toBe(false);
    expect(copyModule(net).training).toBe(false);
  });
});

describe('a layer of one’s own', () => {
  /** y = 2ᵏ x, as in CONTRIBUTING.md but for its derivatives. */
  class Doubling extends Bijection {
    static readonly type: string = 'Doubling';
    get options() {
      return {};
    }
    protected apply(x: Tensor) {
      return { y: add(x, x) };
    }
    protected invert(y: Tensor) {
      return { x: y };
    }
    protected applyBackward(y: Tensor, dy: Tensor) {
      return { x: y, dx: dy };
    }
    protected invertBackward(x: Tensor, dx: Tensor) {
      return { y: x, dy: dx };
    }
    protected applyTangent(x: Tensor) {
      return { y: add(x, x) };
    }
    protected invertTangent(y: Tensor) {
      return { x: y };
    }
  }

  it('gets its results owned, its zeros filled in, and its temporaries freed', () => {
    const f = new Doubling();
    const x = ones([2, 3]);
    const before = memory().tensors;
    const { x: same, dx } = f.backward(x, x);
    expect(same).not.toBe(x);
    same.dispose();
    dx.dispose();
    expect(x.disposed).toBe(false);
    const results = f.jvp(x, {});
    expect([...results.dy.dataSync(), ...results.logdet.dataSync()]).toEqual(new Array(8).fill(0));
    for (const t of Object.values(results)) t.dispose();
    expect(memory().tensors).toBe(before);
    expect(() => f.backward(x, ones([2, 2]))).toThrow(
      /Doubling.backward: the gradient is \[2, 2\]; expected \[2, 3\]/,
    );
    expect(() => f.forward([x, x] as never)).toThrow(/got a pair of tensors; expected a tensor/);
    expect(() => f.forward(3 as never)).toThrow(/got 3; expected a tensor/);
    const inMap = new Map([['dlogdet', ones([1])]]);
    expect(() => f.backward(x, x, inMap as never)).toThrow(/options is a Map; expected { dlogdet/);
  });

  it('is told what its hooks made wrong', () => {
    class Wrong extends Doubling {
      static override readonly type: string = 'Wrong';
      readonly result: object | null;
      constructor(result: object | null) {
        super();
        this.result = result;
      }
      protected override apply() {
        return this.result as { y: Tensor };
      }
      protected override applyBackward() {
        return this.result as { x: Tensor; dx: Tensor };
      }
    }
    const x = ones([2, 3]);
    const before = memory().tensors;
    const refused = (result: object | null, message: RegExp) =>
      expect(() => new Wrong(result).forward(x)).toThrow(message);
    refused(
      { y: x, logdet: x },
      /Wrong.apply: its hook gave logdet of shape \[2, 3\]; expected \[2\]/,
    );
    refused({ y: x, logdet: 3 }, /logdet as number/);
    refused({ y: x, logdet: 0 }, /logdet as number/);
    refused(null, /Wrong.apply: its hook gave null; expected a record/);
    refused({}, /its hook gave y as undefined; expected a tensor, \[2, 3\]/);
    refused(Promise.resolve({ y: x }), /y as undefined/);
    expect(() => new Wrong(null).backward(x, x)).toThrow(/applyBackward: its hook gave null/);
    expect(() => new Wrong({ x }).backward(x, x)).toThrow(
      /applyBackward: its hook gave dx as undef/,
    );
    expect(memory().tensors).toBe(before);
  });
});
