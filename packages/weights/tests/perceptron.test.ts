/** The derivative suite of the conditioners here, and what they refuse. */
import { assertConditioner } from '@invnet/jvp';
import { exp, leakyRelu, tanh } from '@invnet/layers';
import { add, RandomStream, ShapeError, setBackend, ValueError, zeros } from '@invnet/tensor';
import { beforeEach, expect, it } from 'vitest';
import { Perceptron, type PerceptronOptions, ResidualPerceptron } from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

it.each<[string, typeof Perceptron, PerceptronOptions, number[]]>([
  ['a matrix', Perceptron, { channels: [3, 4] }, [2, 3]],
  ['vectors', Perceptron, { channels: [3, 5, 4, 2], activation: tanh() }, [2, 3]],
  // Its slope is a function of what it was given.
  ['exponential', Perceptron, { channels: [3, 5, 2], activation: exp() }, [2, 3]],
  ['lines', Perceptron, { channels: [2, 3, 4], ndims: 1, kernels: [3, 5] }, [2, 2, 6]],
  ['images', Perceptron, { channels: [2, 3, 3, 4], ndims: 2, kernels: [3, 1, 3] }, [2, 2, 4, 5]],
  ['no block', ResidualPerceptron, { channels: [3, 5, 2] }, [2, 3]],
  ['blocks', ResidualPerceptron, { channels: [3, 4, 4, 4, 4, 4, 2] }, [2, 3]],
  [
    'blocks on images',
    ResidualPerceptron,
    { channels: [2, 3, 3, 3, 4], ndims: 2, kernels: [1, 3, 3, 1], activation: leakyRelu() },
    [2, 2, 4, 3],
  ],
])('%s', async (_, Type, options, shape) => {
  const g = new Type(options);
  const stream = new RandomStream(3);
  for (const p of g.parameters) {
    using moved = add(p.data, stream.normal(p.shape, 0.2));
    p.assign(moved);
  }
  await assertConditioner(g, { x: stream.normal(shape) });
});

it.each<[() => unknown]>([
  [() => new Perceptron({ channels: [3] })],
  [() => new Perceptron({ channels: [3, 2], kernels: [3] })],
  [() => new Perceptron({ channels: [3, 2], ndims: 1, kernels: [2] })],
  [() => new Perceptron({ channels: [3, 2, 2], ndims: 1, kernels: [3] })],
  [() => new ResidualPerceptron({ channels: [3, 2] })],
  [() => new ResidualPerceptron({ channels: [3, 4, 5, 4, 2] })],
])('sizes that do not fit are refused, %#', (make) => {
  expect(make).toThrow(ValueError);
});

it('other shapes are refused', () => {
  const g = new Perceptron({ channels: [3, 2] });
  expect(() => g.forward(zeros([2, 4]))).toThrow(ShapeError);
  expect(() => g.forward(zeros([2, 3, 4]))).toThrow('expected [N, 3]');
});
