/** Training and test images: what they are made of, and that they follow from a seed. */
import { memory, RandomStream, setBackend, type Tensor, tensor } from '@invnet/tensor';
import { beforeAll, expect, test } from 'vitest';
import { distanceTo } from '../src/grid.ts';
import { drawSlices, fourierCrop, type Head, loadHead, testSlices } from '../src/index.ts';

let head: Head;
beforeAll(async () => {
  await setBackend('wasm');
  head = await loadHead();
}, 60_000);

test('cropping keeps the frequencies around the mean, as numpy does it', async () => {
  using images = tensor(
    Array.from({ length: 36 }, (_, i) => i % 7),
    [1, 6, 6],
  );
  using cropped = fourierCrop(images, 4);
  // abs(ifft2(the middle 4 × 4 of fft2)) · 4/6, both centred and orthonormal.
  const expected = [
    [1.75, 0.85670368, 3.75, 4.31645683],
    [4.98297998, 1.75, 0.61484206, 3.50598306],
    [4.41666667, 5.22695354, 1.75, 0.61484206],
    [1.52099606, 4.6606836, 5.22695354, 1.75],
  ];
  const values = await cropped.data();
  expected.flat().forEach((v, i) => {
    expect(values[i]).toBeCloseTo(v, 5);
  });
  expect(() => fourierCrop(images, 7)).toThrow(/\[N, n, n\], n ≥ 7/);
});

test('distances are those to the nearest node, by comparing all of them', () => {
  const size = [5, 7, 6] as const;
  const draws = new RandomStream(3).uniformArray(5 * 7 * 6);
  const values = Float32Array.from(draws, (v) => (v > 0.95 ? 1 : 0));
  const { values: distances } = distanceTo({ size, values });
  const places = Array.from(values, (_, at) => [
    Math.floor(at / 42),
    Math.floor(at / 6) % 7,
    at % 6,
  ]);
  const inside = places.filter((_, at) => values[at]! > 0);
  expect(inside.length).toBeGreaterThan(3);
  places.forEach((place, at) => {
    const all = inside.map((other) => Math.hypot(...place.map((p, i) => p - other[i]!)));
    expect(distances[at]).toBeCloseTo(Math.min(...all), 5);
  });
});

test('slices of the head follow from the seed, and those held out are others', async () => {
  const before = memory().liveBytes;
  const draw = (seed: number, split: 'train' | 'held-out') =>
    drawSlices(head, { count: 3, size: 32, split, random: new RandomStream(seed) });
  const images = [draw(5, 'train'), draw(5, 'train'), draw(6, 'train'), draw(5, 'held-out')];
  const all = await Promise.all(images.map((x) => x.data()));
  const [first, again, other, heldOut] = all.map((values) => Float32Array.from(values));
  for (const x of images) x.dispose();
  expect(memory().liveBytes).toBe(before);
  expect(again).toEqual(first);
  expect(other).not.toEqual(first);
  expect(heldOut).not.toEqual(first);
  for (let n = 0; n < 3; n++) {
    const image = first!.subarray(n * 1024, (n + 1) * 1024);
    expect(Math.max(...image)).toBeCloseTo(1, 6);
    expect(Math.min(...image)).toBeGreaterThanOrEqual(0);
    // Neither empty nor full.
    const bright = image.filter((v) => v > 0.1).length;
    expect(bright).toBeGreaterThan(10);
    expect(bright).toBeLessThan(900);
  }
});

test('the test volume is that of the package, cropped as numpy does it', async () => {
  const at = async (x: Tensor, slice: number, row: number, column: number) =>
    (await x.data())[(slice * x.shape[1]! + row) * x.shape[2]! + column];
  using images = await testSlices(128);
  expect(images.shape).toEqual([20, 128, 128]);
  expect(await at(images, 6, 64, 64)).toBeCloseTo(0.43711184, 5);
  expect(await at(images, 6, 30, 80)).toBeCloseTo(0.046286044, 5);
  expect(await at(images, 6, 100, 50)).toBeCloseTo(0.224365971, 5);
  expect(await at(images, 19, 100, 50)).toBeCloseTo(0.030571399, 5);
});
