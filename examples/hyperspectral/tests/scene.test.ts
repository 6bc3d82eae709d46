/** The splits and the views of the scene. */
import { beforeAll, describe, expect, test } from 'vitest';
import { loadScene, type Scene, splitNames, splitsOf } from '../src/scene.ts';
import { batches, classesIn, imageOf, maskIn, orientations, viewOf } from '../src/views.ts';

let scene: Scene;
beforeAll(async () => {
  scene = await loadScene();
});

describe('splits', () => {
  const count = (mask: Uint8Array) => mask.reduce((sum, bit) => sum + bit, 0);

  test('part the labelled pixels, by classes or by blocks, as the seed says', () => {
    const splits = splitsOf(scene, 1);
    for (const name of splitNames) {
      const { train, test } = splits[name];
      const parted = scene.labels.every((label, i) => train[i]! + test[i]! === (label > 0 ? 1 : 0));
      expect(parted, name).toBe(true);
    }
    const { random, blocks } = splits;
    for (let label = 1; label <= 16; label++) {
      const all = scene.labels.filter((l) => l === label).length;
      const drawn = random.train.filter((bit, i) => bit && scene.labels[i] === label).length;
      expect(drawn).toBe(Math.max(3, Math.round(all / 10)));
    }
    // 12 × 12 pixels from the corner on are one block: trained on as a whole, or not at all.
    const blockOf = (i: number) => 13 * Math.floor(i / 145 / 12) + Math.floor((i % 145) / 12);
    const trained = new Set([...blocks.train.keys()].filter((i) => blocks.train[i]).map(blockOf));
    const tested = new Set([...blocks.test.keys()].filter((i) => blocks.test[i]).map(blockOf));
    expect([...trained].filter((block) => tested.has(block))).toEqual([]);
    expect(trained.size).toBeGreaterThan(20);
    expect(trained.size).toBeLessThanOrEqual(42);
    expect(splitsOf(scene, 1)).toEqual(splits);
    expect(splitsOf(scene, 2)).not.toEqual(splits);
    expect(count(random.train)).toBe(1028);
  });
});

describe('views', () => {
  test('show each pixel once, with its label, in eight different ways', async () => {
    const images = new Set<string>();
    for (let orientation = 0; orientation < orientations; orientation++) {
      const view = viewOf(scene, orientation);
      expect([view.height, view.width]).toEqual([148, 148]);
      const pixels = view.source.filter((pixel) => pixel >= 0);
      expect(pixels.length).toBe(145 * 145);
      expect(new Set(pixels).size).toBe(145 * 145);
      using image = imageOf(scene, view);
      const numbers = await image.data();
      const at = 40 * 148 + 30;
      const [pixel, band] = [view.source[at]!, 7];
      expect(numbers[band * 148 * 148 + at]).toBe(scene.cube[band * 145 * 145 + pixel]);
      expect(classesIn(scene, view)[at]).toBe(Math.max(0, scene.labels[pixel]! - 1));
      const { random } = splitsOf(scene, 0);
      expect(maskIn(random, view).reduce((sum, bit) => sum + bit, 0)).toBe(1028);
      images.add([...numbers.subarray(at, at + 40)].join());
    }
    expect(images.size).toBe(8);
  });

  test('batches follow from the seed and the step, half of their patches left out', async () => {
    const splits = splitsOf(scene, 0);
    const batch = (step: number) => batches(scene, splits, { seed: 5, step }).next().value;
    const later = batches(scene, splits, { seed: 5, step: 2 });
    const numbers = async ({ image }: ReturnType<typeof batch>) => {
      const data = await image.data();
      image.dispose();
      return data;
    };
    later.next().value.image.dispose();
    const [first, again] = [await numbers(batch(3)), await numbers(later.next().value)];
    expect(first.every((v, i) => v === again[i])).toBe(true);
    const plane = first.subarray(0, 148 * 148);
    const kept = plane.reduce((sum, v) => sum + (v === 0 ? 0 : 1), 0) / (145 * 145);
    expect(kept).toBeGreaterThan(0.45);
    expect(kept).toBeLessThan(0.55);
  });
});
