/** Loss curves are what they are, whatever else is done with the network before and between. */
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import {
  compose,
  GlowCoupling,
  isInitialized,
  namedBuffers,
  namedParameters,
  ResNet,
  reverse,
} from '@invnet/layers';
import { ConditionalGlow, Glow } from '@invnet/networks';
import {
  concat,
  full,
  memory,
  RandomStream,
  setBackend,
  type Tensor,
  tensor,
  tidy,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { Adam, constant, NonFiniteLossError, train } from '../src/index.ts';

beforeEach(() => setBackend('wasm'));

interface Batch {
  readonly x: Tensor;
  readonly context: Tensor | undefined;
}

/** A network, and data to train it on. */
interface Case {
  readonly name: string;
  readonly make: () => Flow;
  readonly shape: readonly number[];
  readonly context?: readonly number[];
}

const sizes = { channels: 2, scales: 1, steps: 2, hidden: 4 };
const cases: Case[] = [
  {
    name: 'Glow',
    make: () => new Flow({ network: new Glow({ ...sizes, ndims: 0 }) }),
    shape: [16, 2],
  },
  {
    name: 'a reversed Glow',
    make: () => new Flow({ network: reverse(new Glow({ ...sizes, ndims: 0 })) }),
    shape: [16, 2],
  },
  {
    name: 'ConditionalGlow',
    make: () =>
      new Flow({ network: new ConditionalGlow({ ...sizes, ndims: 0, contextChannels: 1 }) }),
    shape: [16, 2],
    context: [16, 1],
  },
  {
    name: 'couplings with running statistics',
    make: () => {
      const random = new RandomStream(3);
      const block = () =>
        new ResNet({ inChannels: 1, hidden: 3, outChannels: 2, ndims: 1, blocks: 1, random });
      const coupling = () => new GlowCoupling({ channels: 2, conditioner: block() });
      return new Flow({ network: compose(coupling(), reverse(coupling())) });
    },
    shape: [8, 2, 4],
  },
];

const batch = ({ shape, context }: Case, i: number): Batch => ({
  x: new RandomStream(10 + i).normal(shape, 100),
  context: context && new RandomStream(20 + i).normal(context),
});

/** Trains on three batches, with something else before each, and gives losses and all numbers. */
async function curve(
  c: Case,
  disturb: (flow: Flow, b: Batch, run: (batches: Batch[]) => Promise<number[]>) => unknown,
) {
  const flow = c.make();
  const { parameters } = flow;
  const optimizer = new Adam();
  const run = async (batches: Batch[]) => {
    const loss = (b: Batch) => negativeLogLikelihood(flow, b.x, b.context);
    const losses: number[] = [];
    const schedule = constant(1e-3);
    for await (const m of train({ parameters, optimizer, loss, batches, schedule })) {
      losses.push(m.loss);
    }
    return losses;
  };
  const losses: number[] = [];
  for (let i = 0; i < 3; i++) {
    const b = batch(c, i);
    await disturb(flow, b, run);
    losses.push(...(await run([b])));
  }
  const numbers: Record<string, number[]> = {};
  for (const [path, p] of namedParameters(flow)) numbers[path] = [...(await p.data.data())];
  for (const [path, b] of namedBuffers(flow)) numbers[path] = [...(await b.read())];
  return { losses, numbers };
}

describe.each(cases)('$name', (c) => {
  const undisturbed = () => curve(c, () => {});

  it('is normalized by its first batch', async () => {
    const { losses } = await undisturbed();
    // Of data N(0, 100²) a network that is not has thousands of nats per number.
    const dims = c.shape.slice(1).reduce((a, b) => a * b, 1);
    if (!c.name.includes('statistics')) expect(losses[0]! / dims).toBeLessThan(8);
    expect(losses).toHaveLength(3);
  });

  it('trains as it does after samples were drawn', async () => {
    const sampled = await curve(c, (flow, { context }) => {
      flow.sample({ shape: c.shape, seed: 1, ...(context && { context }) }).dispose();
    });
    expect(sampled).toEqual(await undisturbed());
  });

  it('trains as it does after densities, inverses and derivatives were looked at', async () => {
    const probed = await curve(c, (flow, { x, context }) =>
      tidy(() => {
        flow.logProb(x, context);
        flow.network.inverse(x, context);
        flow.network.jvp(x, { x }, context);
        flow.network.jvpInverse(x, { x }, context);
        // Gradients that a look gathers are not those of the step.
        flow.network.backward(x, x, { context });
        flow.network.backwardInverse(x, x, { context });
      }),
    );
    expect(probed).toEqual(await undisturbed());
  });

  it('trains as it does after batches that were refused', async () => {
    const refused = await curve(c, async (flow, { x, context }, run) => {
      const before = isInitialized(flow);
      const bad = tidy(() =>
        concat([tensor(Number.NaN, [1, ...c.shape.slice(1)]), x], 0).reshape([
          -1,
          ...c.shape.slice(1),
        ]),
      );
      const contexts =
        context && tidy(() => concat([full([1, ...context.shape.slice(1)], 0), context], 0));
      const tensors = memory().tensors;
      await expect(run([{ x: bad, context: contexts }])).rejects.toThrow(NonFiniteLossError);
      expect(isInitialized(flow)).toBe(before);
      expect(memory().tensors).toBe(tensors);
    });
    expect(refused).toEqual(await undisturbed());
  });

  it('trains as it does after a step that failed behind the loss', async () => {
    const failed = await curve(c, async (flow, b) => {
      const steps = train({
        parameters: flow.parameters,
        optimizer: new Adam(),
        loss: ({ x, context }: Batch) => negativeLogLikelihood(flow, x, context),
        batches: [b],
        schedule: () => Number.NaN,
      });
      await expect(steps.next()).rejects.toThrow(/schedule gave for step . is NaN/);
    });
    expect(failed).toEqual(await undisturbed());
  });
});
