/** That blocks of residual flows are contractions: their Jacobians, as operators, have norms below the bound. */
import { InvertibleResidual, lipschitzBlock, updateLipschitz } from '@invnet/layers';
import { RandomStream, setBackend } from '@invnet/tensor';
import { expect, it } from 'vitest';
import {
  addOperators,
  identityOperator,
  jacobian,
  operatorNorm,
  scaleOperator,
} from '../src/index.ts';

it.each([
  ['dense layers', []],
  ['convolutions', [5, 4]],
])(
  'a block of %s has a Lipschitz constant below 1, however large its weights are',
  async (_, size) => {
    await setBackend('reference', { dtype: 'float64' });
    const random = new RandomStream(2);
    const sizes = { channels: 2, hidden: [6], coefficient: 0.9, random };
    const block = lipschitzBlock({ ...sizes, size, activation: 'elu' });
    for (const p of block.parameters) if (p.shape.length > 1) p.assign(random.normal(p.shape, 3));
    updateLipschitz(block, { iterations: 100 });
    const x = random.normal([1, 2, ...size], 3);
    const network = new InvertibleResidual({ block, logdet: 'series', terms: 1 });
    // The Jacobian of x + g(x) without that of x.
    const g = addOperators(
      jacobian(network, x, { with: 'input' }),
      scaleOperator(identityOperator(x), -1),
    );
    const norm = await operatorNorm(g, { tolerance: 1e-8, maxIterations: 1000 });
    expect(norm).toBeLessThan(block.lipschitz + 1e-6);
    expect(block.lipschitz).toBeCloseTo(0.81, 12);
  },
);
