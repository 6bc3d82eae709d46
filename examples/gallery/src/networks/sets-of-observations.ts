/** A posterior given any number of observations: what a network makes of sets, beside what is exact. */
import { Flow } from '@invnet/flows';
import { DeepSet, expClamp, padSets } from '@invnet/layers';
import { ConditionalGlow, SummarizedNetwork } from '@invnet/networks';
import { add, RandomStream, sub, type Tensor, tensor, tidy } from '@invnet/tensor';
import { maximizeLikelihood } from '../train.ts';

const random = new RandomStream(1);
const most = 12;

/** Observations of x with noise of deviation 1, so many. */
const observe = (x: Tensor, count: number) =>
  tidy(() => add(x.reshape([1, 2]), random.normal([count, 2])));

// Each batch has sets of 1 to 12 observations of two numbers, which are standard normal before any is seen.
const draw = () => {
  const x = random.normal([128, 2]);
  const context = tidy(() => {
    const values = x.dataSync();
    const counts = random.uniformArray(128, 1, most + 1);
    const sets = Array.from(counts, (count, i) =>
      observe(tensor([values[2 * i]!, values[2 * i + 1]!]), Math.floor(count)),
    );
    return padSets(sets);
  });
  return { x, context };
};

const network = new SummarizedNetwork({
  network: new ConditionalGlow({
    ...{ channels: 2, contextChannels: 8, ndims: 0, hidden: 32, scales: 1, steps: 4 },
    scaleFunction: expClamp(),
    random,
  }),
  summary: new DeepSet({ features: 2, hidden: 32, outChannels: 8, masked: true, random }),
});
const flow = new Flow({ network });
await maximizeLikelihood(flow, draw, { steps: 250, learningRate: 4e-3 });

// Exact: normal, of mean m·ȳ/(m + 1) and deviation 1/√(m + 1).
console.log('observations  mean, exact     mean, learned   deviation, exact, learned');
for (const count of [1, 3, 6, 12]) {
  const set = observe(tensor([0.5, -1]), count);
  const context = padSets([set]);
  const samples = flow.sample({ shape: [4000, 2], seed: 2, context });
  const exact = momentsOf(await set.data(), count).map(({ mean }) => (mean * count) / (count + 1));
  const learned = momentsOf(await samples.data(), 4000);
  const deviation = Math.sqrt((learned[0]!.variance + learned[1]!.variance) / 2);
  const means = [exact, learned.map(({ mean }) => mean)].map((pair) =>
    pair.map((v) => v.toFixed(2)).join(', '),
  );
  const deviations = [1 / Math.sqrt(count + 1), deviation].map((v) => v.toFixed(2)).join(', ');
  console.log(
    `${String(count).padStart(12)}  ${means.map((m) => m.padEnd(14)).join('  ')}  ${deviations}`,
  );
  for (const t of [set, context, samples]) t.dispose();
}

// A set is what it is in any order.
const origin = tensor([[0, 0]]);
const numbers = [
  [0.3, -1],
  [2, 0.4],
  [-0.7, 1.1],
];
const [here, there] = [numbers, numbers.toReversed()].map((set) =>
  flow.logProb(origin, padSets([tensor(set)])),
);
const difference = Math.abs((await sub(here!, there!).data())[0]!);
console.log('the same observations in another order: largest difference', difference);

/** Mean and variance of each of the two numbers. */
function momentsOf(values: ArrayLike<number>, count: number) {
  return [0, 1].map((i) => {
    const column = Array.from({ length: count }, (_, row) => values[2 * row + i]!);
    const mean = column.reduce((sum, v) => sum + v, 0) / count;
    return { mean, variance: column.reduce((sum, v) => sum + (v - mean) ** 2, 0) / count };
  });
}
