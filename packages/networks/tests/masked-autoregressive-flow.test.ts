import { Autoregressive, build, describe as describeModule } from '@invnet/layers';
import { RandomStream, setBackend, sub, ValueError } from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  maskedAutoregressiveFlow,
  networkCatalogue,
  reverse,
  type Sequential,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const ordersOf = (network: Sequential) =>
  [...network].map((layer) => layer instanceof Autoregressive && layer.conditioner.channelOrder);

describe('maskedAutoregressiveFlow', () => {
  const sizes = { channels: 3, hidden: [4] };

  it('turns the order from layer to layer, draws it, or has that of a graph', () => {
    const [up, down] = [
      [0, 1, 2],
      [2, 1, 0],
    ];
    expect(ordersOf(maskedAutoregressiveFlow({ ...sizes, transforms: 3 }))).toEqual([up, down, up]);
    const random = new RandomStream(2);
    const drawn = ordersOf(maskedAutoregressiveFlow({ ...sizes, order: 'random', random }));
    expect(new Set(drawn.map(String)).size).toBeGreaterThan(1);
    const adjacency = [
      [false, true, false],
      [false, false, false],
      [true, false, false],
    ];
    const causal = maskedAutoregressiveFlow({ ...sizes, transforms: 2, adjacency });
    expect(ordersOf(causal)).toEqual([
      [1, 0, 2],
      [1, 0, 2],
    ]);
  });

  it('is built again from what describes it, and reversed', () => {
    const options = { ...sizes, transforms: 2, contextChannels: 1, order: 'random' } as const;
    const network = maskedAutoregressiveFlow({ ...options, random: new RandomStream(2) });
    const again = build(describeModule(network), { modules: networkCatalogue });
    expect(describeModule(again)).toEqual(describeModule(network));
    const [x, context] = [new RandomStream(1).normal([4, 3]), new RandomStream(1).normal([4, 1])];
    const { y } = network.forward(x, context);
    const gaps = Array.from(sub(reverse(network).forward(y, context).y, x).dataSync());
    expect(Math.max(...gaps.map(Math.abs))).toBeLessThan(1e-12);
  });

  it('refuses what cannot be', () => {
    const made = (options: object) => () => maskedAutoregressiveFlow({ ...sizes, ...options });
    expect(made({ transforms: 0 })).toThrow('transforms is 0');
    expect(made({ order: 'reversed' })).toThrow("one of 'alternating', 'random'");
    expect(made({ channels: 1 })).toThrow('expected something to condition on');
    expect(made({ steps: 2 })).toThrow(ValueError);
  });
});
