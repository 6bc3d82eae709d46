import {
  ActNorm,
  type Bijection,
  ConditionerField,
  ContinuousFlow,
  Dense,
  freeze,
  MidpointFlow,
  Sequential,
  SmoothField,
  Standardization,
  zeroGrad,
} from '@invnet/layers';
import { SummarizedNetwork } from '@invnet/networks';
import { memory, RandomStream, setBackend, tensor } from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { Flow, flowMatching } from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const random = () => new RandomStream(3);
const sizes = { channels: 2, contextChannels: 1, frequencies: 1 };
const smooth = () => new SmoothField({ ...sizes, hidden: [4], random: random() });

describe('the loss of flow matching', () => {
  const networks: [string, () => Bijection][] = [
    ['ContinuousFlow', () => new ContinuousFlow({ field: smooth() })],
    [
      'ContinuousFlow of a conditioner, behind a Standardization',
      () => {
        const standardization = new Standardization({ channels: 2 });
        standardization.set({ mean: [0.3, -1], deviation: [2, 0.5] });
        const field = new ConditionerField({ ...sizes, hidden: 3, random: random() });
        return new Sequential([standardization, new ContinuousFlow({ field })]);
      },
    ],
    [
      'MidpointFlow in a SummarizedNetwork, behind a frozen ActNorm',
      () => {
        const norm = new ActNorm({ channels: 2 });
        freeze(norm, '**');
        const summary = new Dense({ inChannels: 1, outChannels: 1, random: random() });
        const network = new MidpointFlow({ field: smooth() });
        return new SummarizedNetwork({ network: new Sequential([norm, network]), summary });
      },
    ],
  ];

  it.each(networks)('has the gradient of central differences and leaves nothing: %s', (_, make) => {
    const flow = new Flow({ network: make() });
    const draws = random();
    const [x, context, weights] = [draws.normal([3, 2]), draws.normal([3, 1]), draws.uniform([3])];
    const loss = (): number => {
      const settings = { deviation: 0.1, timePower: 0.5, random: new RandomStream(7) };
      using value = flowMatching(flow, { x, context, weights, ...settings });
      return value.dataSync()[0]!;
    };
    loss();
    const grads = flow.parameters.map((p) => p.grad?.dataSync());
    zeroGrad(flow.parameters);
    const before = memory();
    loss();
    zeroGrad(flow.parameters);
    expect(memory()).toMatchObject({ liveBytes: before.liveBytes, tensors: before.tensors });
    for (const [i, p] of flow.parameters.entries()) {
      if (p.frozen) continue;
      const values = Array.from(p.data.dataSync());
      const at = (delta: number) => {
        p.assign(tensor([values[0]! + delta, ...values.slice(1)], p.shape));
        return loss();
      };
      const h = 1e-5;
      const expected = (at(h) - at(-h)) / (2 * h);
      at(0);
      expect(grads[i]![0]).toBeCloseTo(expected, 8);
    }
  });
});
