import { addVectors, copyModule, countParameters, dotVectors, zeroGrad } from '@invnet/layers';
import {
  clone,
  concat,
  memory,
  RandomStream,
  setBackend,
  type Tensor,
  tensor,
  zerosLike,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  alphaDivergence,
  type EnergyLossOptions,
  type Flow,
  latentEnergy,
  latentPosterior,
  negativeLogLikelihood,
  reverseKL,
  scoreOf,
} from '../src/index.ts';
import { contextOf, energies, flows, numberOf } from './energy-flows.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

/** The derivative of a loss by the parameters along a direction, by central differences. */
function slopeAlong(flow: Flow, loss: () => number, direction: readonly Tensor[]): number {
  const at = (h: number) => {
    const starts = flow.parameters.map((p) => tensor(p.data.dataSync(), p.shape));
    flow.parameters.forEach((p, i) => {
      const [moved] = addVectors([starts[i]!], [direction[i]!], h);
      p.assign(moved!);
    });
    const value = loss();
    flow.parameters.forEach((p, i) => {
      p.assign(starts[i]!);
    });
    return value;
  };
  return derivative(at);
}

/** f′(0) by central differences of fourth order. */
function derivative(f: (h: number) => number): number {
  const h = 2e-4;
  return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h);
}

/** Compares the gradients that `loss` adds with central differences of `value` along random directions. */
async function expectGradients(flow: Flow, loss: () => Tensor, value: () => number): Promise<void> {
  zeroGrad(flow.parameters);
  loss().dispose();
  const found = flow.parameters.map((p) => (p.grad ? clone(p.grad) : zerosLike(p.data)));
  const random = new RandomStream(5);
  const length = 1 / Math.sqrt(countParameters(flow));
  for (let i = 0; i < 4; i++) {
    const direction = flow.parameters.map((p) => random.normal(p.shape, length));
    const expected = slopeAlong(flow, value, direction);
    const slope = await dotVectors(found, direction);
    expect(Math.abs(slope - expected)).toBeLessThan(1e-7 * (1 + Math.abs(expected)));
  }
  zeroGrad(flow.parameters);
}

describe('maximum likelihood with weights', () => {
  it('is that of rows that are repeated', async () => {
    const flow = flows.couplings!();
    const [a, b] = [new RandomStream(6).normal([1, 2]), new RandomStream(7).normal([1, 2])];
    const loss = (x: Tensor, w?: Tensor) => {
      zeroGrad(flow.parameters);
      const value = numberOf(negativeLogLikelihood(flow, x, undefined, w));
      return [value, ...flow.parameters.flatMap((p) => [...p.grad!.dataSync()])];
    };
    const repeated = loss(concat([a, b, b, b], 0));
    const weighted = loss(concat([a, b], 0), tensor([0.5, 1.5]));
    weighted.forEach((v, i) => {
      expect(v).toBeCloseTo(repeated[i]!, 12);
    });
    for (const bad of [tensor([1]), tensor([[1], [1]])]) {
      expect(() => loss(concat([a, b], 0), bad)).toThrow(/weights are .*expected one for each/);
    }
  });
});

describe.each(Object.entries(flows))('a flow of %s', (_, make) => {
  const shape = [7, 2];
  const seed = 4;

  it.each(Object.entries(energies))(
    'has gradients of losses for a %s, total and along the path',
    async (__, energy) => {
      const flow = make();
      const options = { shape, seed, context: contextOf(flow), inverseTemperature: 0.7 };
      const total: EnergyLossOptions = { ...options, gradient: 'total' };
      const losses: ((o: EnergyLossOptions) => Tensor)[] = [
        (o) => reverseKL(flow, energy, o),
        (o) => alphaDivergence(flow, energy, { ...o, alpha: 0.4 }),
        (o) => alphaDivergence(flow, energy, { ...o, alpha: 2 }),
      ];
      for (const loss of losses) {
        await expectGradients(
          flow,
          () => loss(total),
          () => numberOf(loss(total)),
        );
      }
      // Along the path: samples move, and neither log q as a function of x nor the weights do.
      const held = copyModule(flow);
      for (const [loss, alpha] of [
        [losses[0]!, 0],
        [losses[1]!, 0.4],
        [losses[2]!, 2],
      ] as const) {
        const weights = (excess: number[]) => {
          const powers = excess.map((e) => Math.exp(-alpha * e));
          const sum = powers.reduce((a, b) => a + b);
          return powers.map((p) => p / sum);
        };
        const excess = () => {
          const x = flow.sample({
            shape,
            seed,
            ...(options.context && { context: options.context }),
          });
          const logs = held.logProb(x, options.context).dataSync();
          return Array.from(energy.value(x).dataSync(), (u, i) => 0.7 * u + logs[i]!);
        };
        const fixed = weights(excess());
        const value = () => excess().reduce((sum, e, i) => sum + fixed[i]! * e, 0);
        await expectGradients(flow, () => loss(options), value);
      }
    },
  );

  it('has the score of its density, and adds no gradient by it', () => {
    const flow = make();
    const x = new RandomStream(8).normal(shape);
    const context = contextOf(flow);
    const before = memory();
    const { score, logProb } = scoreOf(flow, x, context);
    expect(memory().tensors).toBe(before.tensors + 2);
    expect(flow.parameters.every((p) => p.grad === undefined && !p.frozen)).toBe(true);
    const at = (values: number[]) => flow.logProb(tensor(values, shape), context).dataSync();
    const values = Array.from(x.dataSync());
    expect(logProb.dataSync()).toEqual(at(values));
    score.dataSync().forEach((slope, i) => {
      const moved = (by: number) => at(values.with(i, values[i]! + by))[Math.floor(i / 2)]!;
      expect(slope).toBeCloseTo(derivative(moved), 8);
    });
  });

  it('has the gradients of energies of its latent', () => {
    const flow = make();
    const z = new RandomStream(8).normal(shape);
    const context = contextOf(flow);
    const before = memory();
    for (const pull of [latentEnergy, latentPosterior]) {
      const energy = pull(flow, energies.banana!, context);
      const { value, gradient } = energy.withGradient(z);
      expect(memory().tensors).toBe(before.tensors + 2);
      const values = Array.from(z.dataSync());
      const at = (by: number, i: number) => {
        using moved = tensor(values.with(i, values[i]! + by), shape);
        using found = energy.value(moved);
        return found.dataSync()[Math.floor(i / 2)]!;
      };
      expect(Array.from(value.dataSync())).toEqual(
        Array.from({ length: shape[0]! }, (__, n) => at(0, 2 * n)),
      );
      gradient.dataSync().forEach((slope, i) => {
        const expected = derivative((h) => at(h, i));
        expect(Math.abs(slope - expected)).toBeLessThan(1e-8 * (1 + Math.abs(expected)));
      });
      value.dispose();
      gradient.dispose();
    }
    expect(memory().tensors).toBe(before.tensors);
    expect(flow.parameters.every((p) => p.grad === undefined)).toBe(true);
  });
});
