/** Numbers are those that NumPy reads from the files of tensorly. */
import { expect, it } from 'vitest';
import { indianPinesClasses, loadIndianPines } from '../src/index.ts';

it('loads the scene with its labels', async () => {
  const { cube, labels, bands, height, width } = await loadIndianPines();
  expect([cube.length, labels.length]).toEqual([bands * height * width, height * width]);
  let sum = 0;
  for (const v of cube) sum += v;
  expect(sum).toBe(11153296207);
  expect(cube[(30 * height + 7) * width + 100]).toBe(5677);
  const counts = new Array<number>(1 + indianPinesClasses.length).fill(0);
  for (const label of labels) counts[label]! += 1;
  expect(counts).toEqual([
    10776, 46, 1428, 830, 237, 483, 730, 28, 478, 20, 972, 2455, 593, 205, 1265, 386, 93,
  ]);
});
