import { getBackend } from '@invnet/tensor';
import { expect, test } from 'vitest';
import { chooseSbi, describeSbi, measureSbi } from '../src/sbi.ts';

test('bench sbi learns a posterior, sets its samples beside reference samples, and leaves the backend as it was', async () => {
  const before = getBackend();
  const small = { simulations: [300], samples: 100, epochs: 2, observations: 2, threads: 1 };
  const report = await measureSbi({ ...small, tasks: ['gaussian_linear'], estimators: ['affine'] });
  expect(getBackend()).toBe(before);
  const [result] = report.results;
  expect(result!.accuracies).toHaveLength(2);
  for (const accuracy of result!.accuracies) {
    expect(accuracy).toBeGreaterThan(0.3);
    expect(accuracy).toBeLessThanOrEqual(1);
  }
  expect(describeSbi(report)).toMatch(/gaussian_linear, 300: invnet affine +0\.\d{3} .* \(2\) /);
});

test('bench sbi takes the five tasks of the table by default, and refuses what it does not know', () => {
  expect(chooseSbi({})).toMatchObject({ simulations: [10_000], observations: 10, peer: false });
  expect(chooseSbi({}).tasks).toHaveLength(5);
  expect(chooseSbi({ task: 'sir,slcp', simulations: '100,200' })).toMatchObject({
    tasks: ['sir', 'slcp'],
    simulations: [100, 200],
  });
  expect(() => chooseSbi({ task: 'three_moons' })).toThrow("--task is 'three_moons'");
  expect(() => chooseSbi({ observations: '11' })).toThrow('a whole number from 1 to 10');
  expect(() => chooseSbi({ peer: 'sbibm' })).toThrow('--peer');
});
