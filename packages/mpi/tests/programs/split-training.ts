/**
 * What `split.test.ts` runs under mpirun beside single steps: a training from its first step on, samples, and what is
 * refused. Rank 0 prints how far they are from those of one process, and what each rank said.
 */
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import { initialize, ShuffleSqueeze, TrainingStep, WaveletSqueeze } from '@invnet/layers';
import { Glow } from '@invnet/networks';
import {
  conv,
  convInputGrad,
  memory,
  RandomStream,
  setBackend,
  type Tensor,
  tensor,
  tidy,
  WasmBackend,
  zeros,
} from '@invnet/tensor';
import { Adam, constant, train } from '@invnet/train';
import { openMpi, type Split, splitBackend } from '../../src/index.ts';

const communicator = openMpi();
const { rank } = communicator;
const whole = [2, 1, 20, 8];
const data = [1, 2, 3].map((seed) => new RandomStream(seed).normalArray(320, 2));
const flowOf = (squeeze = new ShuffleSqueeze()) => {
  const sizes = { channels: 1, hidden: 4, steps: 1, squeeze };
  return new Flow({ network: new Glow({ ...sizes, random: new RandomStream(4) }) });
};
const numbersOf = ({ parameters }: Flow) => parameters.flatMap((p) => [...p.data.dataSync()]);

/** A training on the data, in slabs or in one piece, by all ranks or this one. */
async function trained(flow: Flow, split?: Split): Promise<number[]> {
  const steps: number[] = [];
  for await (const { loss, gradientNorm } of train({
    parameters: flow.parameters,
    optimizer: new Adam(),
    loss: (x: Tensor) => negativeLogLikelihood(flow, x),
    batches: data.map((v) => (split ? split.scatter(whole, v) : tensor(v, whole))),
    schedule: constant(1e-2),
    clipNorm: 10,
    ...(split && { communicator: split.communicator }),
  })) {
    steps.push(loss, gradientNorm);
  }
  return steps;
}

/** What a call says when it is refused, on each rank. */
async function said(call: () => unknown): Promise<string[]> {
  let own = 'nothing';
  try {
    await call();
  } catch (error) {
    own = String(error);
  }
  return communicator.gather(own);
}

await setBackend('wasm');
const alone = flowOf();
const expected = { steps: await trained(alone), parameters: numbersOf(alone) };
const sample = alone.sample({ shape: whole, seed: 7, temperature: 0.5 });
const fresh = flowOf();
await initialize(fresh, tensor(data[0]!, whole));

await setBackend('wasm');
const cut = { size: 20, multiple: 4 };
using split = await splitBackend(communicator, cut);
const flow = flowOf();
const found = { steps: await trained(flow, split), parameters: numbersOf(flow) };
const shape = split.slabShape(whole);
const slab = flow.sample({ shape, seed: split.random(7, shape), temperature: 0.5 });
const sampled = split.gather(slab) ?? [];
const own = flowOf();
const step = new TrainingStep(split.ranks);
using x = split.scatter(whole, data[0]);
step.run(() => own.network.forward(x));
step.commit();

const [image, w] = [zeros(split.slabShape([1, 1, 20, 8])), zeros([1, 1, 3, 3])];
const backend = new WasmBackend();
const before = memory();
tidy(() => {
  convInputGrad(conv(image, w, { padding: 1 }), w, image.shape, { padding: 1 });
});
const report = {
  steps: difference(expected.steps, found.steps),
  parameters: difference(expected.parameters, found.parameters),
  sample: difference(sample.dataSync(), sampled),
  initialized: difference(numbersOf(fresh), numbersOf(own)),
  bytesLeft: memory().liveBytes - before.liveBytes,
  refusals: {
    options: await said(() =>
      splitBackend(communicator, { ...cut, backend, axis: 2 + (rank % 2) }),
    ),
    twice: await said(() => splitBackend(communicator, cut)),
    padding: await said(() => conv(image, w)),
    axes: await said(() => conv(zeros([1, 1, 4, 4, 4]), zeros([1, 1, 3, 3, 3]), { padding: 1 })),
    wavelets: await said(() => new WaveletSqueeze({ wavelet: 'db2' }).forward(image)),
    stride: await said(() => conv(image, w, { padding: 1, stride: 8 })),
    numbers: await said(() => split.scatter(whole, new Float32Array(3))),
    network: await said(() => trained(flowOf(new ShuffleSqueeze({ pattern: 'patch' })), split)),
  },
};
if (rank === 0) console.log(JSON.stringify(report));
communicator.close();

function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return Math.max(...Array.from(a, (v, i) => Math.abs(v - b[i]!) / Math.max(1, Math.abs(v))));
}
