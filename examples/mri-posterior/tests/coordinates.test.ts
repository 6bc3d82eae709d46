import { norm, RandomStream, setBackend, sub, tensor, tidy, zeros } from '@invnet/tensor';
import { LuDecomposition, Matrix } from 'ml-matrix';
import { beforeEach, expect, test } from 'vitest';
import { fromCoordinates, toCoordinates } from '../src/coordinates.ts';
import { linearGaussian } from '../src/linear-gaussian.ts';
import { disposeObservations } from '../src/problem.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const kappa = 5;

test('coordinates are undone, whiten what was observed, and have the volume that is said', async () => {
  const problem = await linearGaussian();
  const observations = await problem.draw('training', 2, new RandomStream(1));
  const { x, data, operator } = observations;
  const v = toCoordinates(x, observations, kappa);
  expect(await distance(fromCoordinates(v, observations, kappa), x)).toBeLessThan(1e-13);

  // Rows of A are orthonormal, so A v = κ(A x − d).
  expect(await distance(operator.forward(operator.adjoint(data)), data)).toBeLessThan(1e-13);
  const residual = sub(operator.forward(x), data);
  const whitened = tidy(() => operator.forward(v));
  const sizes = [await norm([whitened]), await norm([residual])] as const;
  expect(sizes[0] / sizes[1]).toBeCloseTo(kappa, 10);

  // With no data the map is linear: its matrix, column by column.
  const size = x.size / 2;
  const units = tensor(Matrix.eye(size).to1DArray(), [size, ...x.shape.slice(1)]);
  const nothing = { operator, data: zeros([size, ...data.shape.slice(1)]) };
  const columns = await toCoordinates(units, nothing, kappa).data();
  const { determinant } = new LuDecomposition(Matrix.from1DArray(size, size, [...columns]));
  expect(Math.log(determinant)).toBeCloseTo(problem.observed * Math.log(kappa), 8);
  disposeObservations(observations);
});

/** ‖a − b‖/‖b‖ */
async function distance(a: Parameters<typeof sub>[0], b: Parameters<typeof sub>[0]) {
  return (await norm([sub(a, b)])) / (await norm([b]));
}
