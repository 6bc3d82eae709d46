/** Two moons, trained in tfjs by its optimizer and here by ours: the same density on held-out data. */
import { twoMoons } from '@invnet/datasets';
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import { initializeSync } from '@invnet/layers';
import { Glow } from '@invnet/networks';
import { mean, RandomStream, setBackend, type Tensor, tidy } from '@invnet/tensor';
import { Adam as OwnAdam, train, warmupCosine } from '@invnet/train';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers'; // registers the gradients
import { expect, it } from 'vitest';
import { toTfjs } from '../src/index.ts';

const steps = 150;
const moons = twoMoons();
// Down to nothing, so that both end near a minimum: rounding alone parts their ways.
const schedule = warmupCosine({ rate: 5e-3, warmup: 1, steps });

/** Adam of tfjs with a rate that is set before each step. */
class Adam extends tf.AdamOptimizer {
  setRate(rate: number): void {
    this.learningRate = rate;
  }
}

function flowOf(): Flow {
  const random = new RandomStream(1);
  const sizes = { channels: 2, ndims: 0, scales: 1, steps: 4, hidden: 16, random } as const;
  return new Flow({ network: new Glow(sizes) });
}

function* batches(): Generator<Tensor> {
  const random = new RandomStream(2);
  for (let i = 0; i < steps; i++) yield moons.sample(128, random);
}

it('two moons end at the same held-out density in tfjs and here', async () => {
  await setBackend('wasm');
  await tf.setBackend('cpu');
  const own = flowOf();
  const training = train({
    parameters: own.parameters,
    optimizer: new OwnAdam(),
    loss: (x: Tensor) => negativeLogLikelihood(own, x),
    batches: batches(),
    schedule,
    disposeBatch: (x) => x.dispose(),
  });
  for await (const _ of training);

  const hosted = flowOf();
  using host = toTfjs(hosted);
  const optimizer = new Adam(0, 0.9, 0.999);
  const variables = [...host.variables.values()];
  let step = 0;
  for (const batch of batches()) {
    if (step === 0) {
      initializeSync(hosted, batch);
      host.push();
    }
    optimizer.setRate(schedule(step));
    step += 1;
    tf.tidy(() => {
      const x = tf.tensor(batch.dataSync(), [128, 2]);
      optimizer.minimize(() => tf.neg(tf.mean(host.logProb(x))), false, variables);
    });
    batch.dispose();
  }
  host.pull();

  using heldOut = moons.sample(4000, new RandomStream(3));
  const density = (flow: Flow) => tidy(() => mean(flow.logProb(heldOut)).dataSync()[0]!);
  expect(density(own)).toBeGreaterThan(-1.7);
  expect(Math.abs(density(hosted) - density(own))).toBeLessThan(0.02);
});
