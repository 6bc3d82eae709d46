import { loadMnist } from '@invnet/datasets';
import { memory, RandomStream, setBackend, sub } from '@invnet/tensor';
import { loadHead } from 'brain-mri';
import { beforeEach, expect, test } from 'vitest';
import { brain } from '../src/brain.ts';
import { linearGaussian } from '../src/linear-gaussian.ts';
import { mnistInpainting } from '../src/mnist-inpainting.ts';
import { disposeObservations, type InverseProblem } from '../src/problem.ts';

beforeEach(() => setBackend('wasm'));

test.each<[string, () => Promise<InverseProblem>]>([
  ['linear-gaussian', linearGaussian],
  ['mnist-inpainting', async () => mnistInpainting(await loadMnist({ split: 'train' }))],
  ['brain', async () => brain(await loadHead())],
])(
  '%s: data are A x with noise as large as it says, of rows that are orthonormal',
  async (_, make) => {
    const problem = await make();
    const before = memory().liveBytes;
    const observations = await problem.draw('training', 8, new RandomStream(1));
    const { x, data, operator, operatorOf, context } = observations;
    expect(x.shape).toEqual([8, problem.channels, problem.size, problem.size]);
    expect(context.shape[1]).toBe(problem.contextChannels);
    {
      using predicted = operator.forward(x);
      using residual = sub(predicted, data);
      const squares = sumOfSquares(await residual.data());
      // 8 m numbers of a normal distribution: within four standard errors of their variance.
      const numbers = 8 * problem.observed;
      const ratio = squares / (numbers * problem.noise ** 2);
      expect(Math.abs(ratio - 1)).toBeLessThan(4 * Math.sqrt(2 / numbers));

      using image = operator.adjoint(data);
      using again = operator.forward(image);
      using error = sub(again, data);
      expect(sumOfSquares(await error.data())).toBeLessThan(1e-9 * sumOfSquares(await data.data()));
      // The operator of one case sees it as the one of all does.
      using single = operatorOf(3);
      using own = single.forward(x);
      const [a, b] = [await own.data(), await predicted.data()];
      const size = b.length / 8;
      for (let i = 3 * size; i < 4 * size; i++) expect(a[i]).toBeCloseTo(b[i]!, 5);
    }
    const truth = await x.data();
    disposeObservations(observations);
    expect(memory().liveBytes).toBe(before);
    // The same again for the same stream.
    const again = await problem.draw('training', 8, new RandomStream(1));
    expect(await again.x.data()).toEqual(truth);
    disposeObservations(again);
  },
);

test('the closed form is that of the pairs that are drawn', async () => {
  const problem = await linearGaussian();
  const { mean, deviation } = problem.posterior!;
  const count = 2000;
  const observations = await problem.draw('training', count, new RandomStream(2));
  const [x, data] = [await observations.x.data(), await observations.data.data()];
  const size = deviation.length;
  // x − mean(d) has the posterior's variance, and nothing to do with d.
  const variance = new Float64Array(size);
  let correlation = 0;
  for (let n = 0; n < count; n++) {
    const d = data.subarray(n * problem.observed, (n + 1) * problem.observed);
    const exact = mean(d);
    for (let j = 0; j < size; j++) {
      const error = (x[n * size + j]! - exact[j]!) / deviation[j]!;
      variance[j]! += error ** 2 / count;
      correlation += (error * d[j % problem.observed]!) / count / size;
    }
  }
  const worst = variance.reduce((most, v) => Math.max(most, Math.abs(v - 1)), 0);
  expect(worst).toBeLessThan(5 * Math.sqrt(2 / count));
  expect(Math.abs(correlation)).toBeLessThan(0.01);
  disposeObservations(observations);
});

function sumOfSquares(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! ** 2;
  return sum;
}
