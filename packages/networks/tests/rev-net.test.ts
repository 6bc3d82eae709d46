import {
  memory,
  RandomStream,
  resetPeakMemory,
  ShapeError,
  setBackend,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { RevNet } from '../src/index.ts';

beforeEach(() => setBackend('reference'));

describe('RevNet', () => {
  it.each([
    [1, [3, 2, 9]],
    [2, [3, 2, 5, 8]],
    [3, [2, 2, 4, 3, 4]],
  ])('gives each image in %iD one number a class', (ndims, shape) => {
    const net = new RevNet({ channels: 2, classes: 4, width: 4, blocks: [1, 1], ndims });
    const { y, saved } = net.forward(new RandomStream(1).normal(shape));
    expect(y.shape).toEqual([shape[0], 4]);
    saved.dispose();
  });

  it('keeps as much for backward, and peaks as high, whatever the depth', () => {
    const bytesAt = (depth: number) => {
      const net = new RevNet({ channels: 1, classes: 3, width: 4, blocks: [depth, depth] });
      const random = new RandomStream(1);
      const [x, dy] = [random.normal([4, 1, 8, 8]), random.normal([4, 3])];
      // The first pass makes the gradients.
      for (let pass = 0; pass < 2; pass++) {
        const before = memory().liveBytes;
        resetPeakMemory();
        const { y, saved } = net.forward(x);
        const kept = memory().liveBytes - before;
        const { dx } = net.backward(dy, saved);
        const peak = memory().peakBytes - before;
        saved.dispose();
        for (const t of [y, dx]) t.dispose();
        expect(memory().liveBytes - before).toBe(
          pass === 0 ? net.parameters.reduce((sum, p) => sum + 4 * p.size, 0) : 0,
        );
        if (pass === 1) return { kept, peak };
      }
      throw new Error('no pass');
    };
    const [shallow, deep] = [bytesAt(4), bytesAt(64)];
    expect(deep.kept).toBe(shallow.kept);
    expect(deep.peak).toBeLessThanOrEqual(1.1 * shallow.peak);
  });

  it('says what it expected', () => {
    const net = new RevNet({ channels: 1, classes: 2, width: 2, blocks: [1] });
    expect(() => net.forward(zeros([2, 2, 4, 4]))).toThrow(ShapeError);
    const right = { channels: 1, classes: 2 };
    for (const wrong of [
      { classes: 1 },
      { width: 3 },
      { blocks: [] },
      { blocks: [0] },
      { ndims: 0 },
    ]) {
      expect(() => new RevNet({ ...right, ...wrong })).toThrow(ValueError);
    }
    expect(() => new RevNet({ ...right, width: 3 })).toThrow(/width is 3; expected an even number/);
  });
});
