/** Parts that are shared, replaced and named in all combinations: file, copy and original are one map. */
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import {
  ActNorm,
  AdditiveCoupling,
  Bijection,
  ChannelHalves,
  ConditionalGlowCoupling,
  CustomBlock,
  compose,
  copyModule,
  DenseBlock,
  Elementwise,
  HaarSqueeze,
  HintCoupling,
  Identity,
  IrimCoupling,
  initialize,
  isInitialized,
  type Module,
  moduleAt,
  named,
  Parallel,
  Parameter,
  placesIn,
  replacePart,
  reverse,
  Sequential,
  sigmoid,
  TrainingStep,
  WithContext,
} from '@invnet/layers';
import {
  ConditionalGlow,
  Glow,
  MultiScaleConditionalHint,
  networkCatalogue,
} from '@invnet/networks';
import {
  add,
  affine,
  mul,
  ones,
  RandomStream,
  setBackend,
  sub,
  type Tensor,
  tensor,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { Adam, constant, modelBytes, modelFromBytes, train } from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

/** Moves all parameters off their start. */
function scatter<M extends Module>(model: M): M {
  const random = new RandomStream(8);
  for (const p of model.parameters) {
    using moved = add(p.data, random.normal(p.shape, 0.3));
    p.assign(moved);
  }
  return model;
}

type Run = (f: Bijection) => Tensor;

/** File and copy compute what the model does. */
async function survives(model: Bijection, run: Run, factories = {}) {
  scatter(model);
  const expected = await run(model).data();
  const bytes = await modelBytes(model);
  const modules = networkCatalogue;
  const loaded = modelFromBytes(bytes, { modules, named: factories, as: Bijection });
  expect(await run(loaded).data()).toEqual(expected);
  expect(await modelBytes(loaded)).toEqual(bytes);
  expect(await run(copyModule(model)).data()).toEqual(expected);
}

const x = () => new RandomStream(1).normal([2, 2]);
const image = () => new RandomStream(1).normal([2, 1, 4, 4]);
const context = () => new RandomStream(2).normal([2, 2]);

describe('parts', () => {
  it('that hold parts stand at several places', async () => {
    const g = new WithContext(new DenseBlock({ inChannels: 3, hidden: 4, outChannels: 2 }));
    const c = () =>
      new ConditionalGlowCoupling({ channels: 2, contextChannels: 2, conditioner: g });
    await survives(new Sequential([c(), c()]), (f) => f.forward(x(), context()).y);
    const s = new Sequential([new ActNorm({ channels: 2 })]);
    await survives(new Sequential([s, reverse(s), s]), (f) => f.forward(x()).y);
  });

  it('are replaced within parts, and within parts that were replaced', async () => {
    const glow = () => new Glow({ channels: 2, ndims: 0, scales: 1, steps: 2, hidden: 3 });
    const dense = (hidden: number) =>
      new DenseBlock({ inChannels: 1, hidden, outChannels: 2, random: new RandomStream(hidden) });
    const inner = replacePart(
      new Sequential({ glow: glow(), other: glow() }),
      'glow.scales.0.steps.0.coupling.conditioner',
      dense(5),
    );
    await survives(inner, (f) => f.forward(x()).y);
    const outer = replacePart(new Sequential([inner]), '0.glow', glow());
    const twice = replacePart(outer, '0.glow.scales.0.steps.1.coupling.conditioner', dense(7));
    await survives(twice, (f) => f.forward(x()).y);
  });

  it('that stand at several places are replaced at all of them', async () => {
    const net = new ConditionalGlow({
      channels: 1,
      contextChannels: 1,
      hidden: 3,
      scales: 1,
      steps: 1,
    });
    const haar = replacePart(net, 'squeeze', new HaarSqueeze());
    await survives(haar, (f) => f.forward(image(), image()).y);
    const lanes = new MultiScaleConditionalHint({ channels: 1, hidden: 3, scales: 1, steps: 1 });
    const changed = replacePart(
      lanes,
      'squeeze',
      new Parallel(new HaarSqueeze(), new HaarSqueeze()),
    );
    const { lane } = scatter(changed);
    expect(await lane.forward(image()).y.data()).toEqual(
      await changed.forward([image(), image()]).y[1].data(),
    );
    const shared = new HintCoupling({ channels: 4, ndims: 0, hidden: 3, shared: true });
    const levels = replacePart(
      shared,
      'recursion.levels.0.conditioner',
      new DenseBlock({ inChannels: 2, hidden: 6, outChannels: 4 }),
    );
    const four = () => new RandomStream(1).normal([2, 4]);
    await survives(levels, (f) => f.forward(four()).y);
    const mixed = replacePart(
      new IrimCoupling({ channels: 2, ndims: 0, hidden: 3 }),
      'mix',
      new Sequential([new ActNorm({ channels: 2 })]),
    );
    await survives(mixed, (f) => f.forward(x()).y);
  });

  it('that are one named object are one again, with one parameter', async () => {
    const make = () => {
      const w = new Parameter('w', ones([1]));
      return {
        parameters: [w],
        forward: (t: Tensor) => ({ y: mul(t, w.data), saved: { t } }),
        backward: (dy: Tensor) => ({ dx: mul(dy, w.data) }),
      };
    };
    const parts = named('block', make());
    const coupling = (p: typeof parts) =>
      new ChannelHalves(new AdditiveCoupling(new CustomBlock(p)), [1, 1]);
    const net = compose(coupling(parts), coupling(parts));
    scatter(net);
    const expected = await net.forward(x()).y.data();
    const loaded = modelFromBytes(await modelBytes(net), {
      modules: networkCatalogue,
      named: { block: make },
      as: Bijection,
    });
    expect(loaded.parameters).toHaveLength(1);
    expect(await loaded.forward(x()).y.data()).toEqual(expected);
    // A copy shares it, and leaves it when it goes.
    copyModule(net).dispose();
    expect(await net.forward(x()).y.data()).toEqual(expected);
  });

  it('keep their modes, shared ones and wrapped ones too', async () => {
    const shared = new ActNorm({ channels: 2 });
    const net = new Sequential([shared, reverse(shared), new ActNorm({ channels: 2 })]);
    moduleAt(net, '1').training = false;
    shared.training = true;
    const modes = (m: Module) => [...placesIn(m)].map(({ module }) => module.training);
    const loaded = modelFromBytes(await modelBytes(net), { modules: networkCatalogue });
    expect(modes(loaded)).toEqual(modes(net));
    expect(modes(copyModule(net))).toEqual(modes(net));
    expect(modes(net)).toContain(false);
  });

  it('of large numbers that are no sizes come back', async () => {
    await survives(new Elementwise(sigmoid({ low: 0, high: 1e8 })), (f) => f.forward(x()).y);
  });

  it('have types and names of their own', () => {
    class Other extends Identity {
      static override readonly type: string = 'Identity';
    }
    expect(() =>
      modelFromBytes(new Uint8Array(0), { modules: [Other, ...networkCatalogue] }),
    ).toThrow();
    expect(() => new Sequential([new Identity()]).at('toString')).toThrow(/no layer 'toString'/);
    for (const name of ['$type', '__proto__', 'a.b', 'a/b']) {
      const maps = Object.fromEntries([
        [name, new Identity()],
        ['b', new Identity()],
      ]);
      expect(() => new Parallel(maps)).toThrow(/expected a text without dots/);
    }
    expect(() => new Parallel({ 2: new Identity(), 1: new Identity() })).toThrow(/no numbers/);
  });
});

describe('what hooks were given', () => {
  /** y = x + c, whose hooks return what they were given. */
  class AddContext extends Bijection {
    static readonly type: string = 'AddContext';
    get options() {
      return {};
    }
    override get usesContext(): boolean {
      return true;
    }
    protected apply(t: Tensor, c?: Tensor) {
      return { y: add(t, c!) };
    }
    protected invert(y: Tensor, c?: Tensor) {
      return { x: sub(y, c!) };
    }
    protected applyBackward(y: Tensor, dy: Tensor, options: { context?: Tensor | undefined }) {
      return { x: sub(y, options.context!), dx: dy, dcontext: dy };
    }
    protected invertBackward(t: Tensor, dx: Tensor, options: { context?: Tensor | undefined }) {
      return { y: add(t, options.context!), dy: dx, dcontext: affine(dx, -1) };
    }
    protected applyTangent(t: Tensor, tangent: { context?: Tensor | undefined }, c?: Tensor) {
      return { y: add(t, c!), dy: tangent.context };
    }
    protected invertTangent(y: Tensor, _: object, c?: Tensor) {
      return { x: sub(y, c!) };
    }
  }

  it('is returned as a copy', () => {
    const f = new Sequential([new AddContext(), new AddContext()]);
    const [dy, c] = [ones([2, 2]), ones([2, 2])];
    const { dcontext } = f.backward(ones([2, 2]), dy, { context: c });
    expect([...dcontext!.dataSync()]).toEqual([2, 2, 2, 2]);
    const result = f.jvp(ones([2, 2]), { context: c }, c);
    for (const t of Object.values(result)) t.dispose();
    expect([dy.disposed, c.disposed]).toEqual([false, false]);
  });
});

describe('training', () => {
  const glow = () => new Glow({ channels: 2, ndims: 0, scales: 1, steps: 2, hidden: 3 });
  const data = () => new RandomStream(3).normal([32, 2], 100);

  it('is normalized by its data, whatever its loss looks at besides', async () => {
    const curve = async (look: (flow: Flow, x: Tensor) => void) => {
      const flow = new Flow({ network: glow() });
      const losses: number[] = [];
      const run = train({
        parameters: flow.parameters,
        optimizer: new Adam(),
        loss: (b: Tensor) => {
          look(flow, b);
          return negativeLogLikelihood(flow, b);
        },
        batches: [data(), data()],
        schedule: constant(1e-3),
      });
      for await (const { loss } of run) losses.push(loss);
      return losses;
    };
    const plain = await curve(() => {});
    expect(
      await curve((flow, b) => {
        flow.sample({ shape: [8, 2], seed: 3 }).dispose();
        flow.logProb(b).dispose();
      }),
    ).toEqual(plain);
    const teacher = glow();
    teacher.training = false;
    expect(await curve((_, b) => void teacher.forward(b))).toEqual(plain);
    teacher.training = true;
    expect(isInitialized(teacher)).toBe(false);
  });

  it('keeps what was committed', () => {
    const net = glow();
    const step = new TrainingStep();
    step.run(() => net.forward(data()));
    step.commit();
    step.rollback();
    expect(isInitialized(net)).toBe(true);
    expect(() => new TrainingStep().run(async () => {})).toThrow(/promise/);
  });

  it('normalizes data far from zero, and refuses such that have no squares', async () => {
    const norm = new ActNorm({ channels: 1 });
    const far = affine(new RandomStream(1).normal([512, 1]), 1e-2, 1e4);
    await initialize(norm, far);
    const values = [...norm.forward(far).y.dataSync()];
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    expect(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length).toBeCloseTo(1, 6);
    await setBackend('reference');
    const huge = new ActNorm({ channels: 1 });
    await expect(initialize(huge, tensor([[1e30], [-1e30]]))).rejects.toThrow(/ActNorm/);
    expect(isInitialized(huge)).toBe(false);
  });
});
