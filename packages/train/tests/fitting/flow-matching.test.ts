/** That `fit` trains what is no likelihood: a continuous flow, by flow matching. */
import { Flow, flowMatching } from '@invnet/flows';
import { ContinuousFlow, SmoothField } from '@invnet/layers';
import { RandomStream, setBackend, tensor } from '@invnet/tensor';
import { expect, it } from 'vitest';
import { constant, fit } from '../../src/index.ts';

it('fits a posterior by flow matching, of data as they are', async () => {
  await setBackend('wasm');
  // θ ~ N(10, 2²) and x = θ + N(0, 1): the posterior of x has variance 0.8 and mean 2 + 0.8 x.
  const random = new RandomStream(1);
  const count = 4000;
  const theta = random.normalArray(count, 2).map((t) => t + 10);
  const seen = random.normalArray(count).map((e, i) => e + theta[i]!);
  const field = new SmoothField({ channels: 1, contextChannels: 1, hidden: [24, 24] });
  const flow = new Flow({ network: new ContinuousFlow({ field }) });
  const rows = {
    x: { shape: [count, 1], data: theta },
    context: { shape: [count, 1], data: seen },
  };
  const { flow: fitted, history } = await fit(flow, rows, {
    loss: flowMatching,
    epochs: 25,
    schedule: constant(5e-3),
    average: 0.99,
  }).result();
  expect(history.at(-1)!.validationLoss).toBeLessThan(history[0]!.validationLoss!);
  using context = tensor([[11]]);
  using samples = fitted.sample({ shape: [2000, 1], seed: 2, context });
  const values = Array.from(await samples.data());
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
  expect(Math.abs(mean - 10.8)).toBeLessThan(0.15);
  expect(Math.abs(variance - 0.8)).toBeLessThan(0.15);
  using logProb = fitted.logProb(samples, context);
  const nats = Array.from(await logProb.data()).reduce((a, b) => a - b, 0) / values.length;
  expect(Math.abs(nats - 0.5 * Math.log(2 * Math.PI * Math.E * 0.8))).toBeLessThan(0.1);
});
