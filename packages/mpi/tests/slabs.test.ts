import {
  ActNorm,
  AffineLayer,
  activationTypes,
  BatchNorm,
  CustomBlock,
  Identity,
  Sequential,
  ShuffleSqueeze,
  WaveletSqueeze,
} from '@invnet/layers';
import { Glow, networkCatalogue } from '@invnet/networks';
import {
  conv,
  getBackend,
  max,
  RandomStream,
  ReferenceBackend,
  ShapeError,
  setBackend,
  tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { SingleProcess } from '@invnet/train';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { obstacles, requireLocal } from '../src/local.ts';
import { Slabs } from '../src/slabs.ts';
import { splitBackend } from '../src/split.ts';
import { SplitStream } from '../src/split-stream.ts';

describe('slabs', () => {
  test('are as even as multiples allow, at every resolution', () => {
    const slabs = new Slabs(3, 1, { size: 40, axis: 3, ndims: 2, multiple: 4 });
    expect(slabs.sizes).toEqual([16, 12, 12]);
    expect(slabs.index).toBe(2);
    expect(slabs.at(3)).toEqual([4, 3, 3]);
    expect(slabs.slabShape([1, 2, 5, 20])).toEqual([1, 2, 5, 6]);
    expect(slabs.wholeShape([1, 2, 5, 24])).toEqual([1, 2, 5, 80]);
    expect(() => slabs.at(1)).toThrow(ShapeError);
    expect(() => slabs.slabShape([1, 2, 5, 5])).toThrow(/expected 40 along axis 3/);
    expect(() => slabs.slabShape([2, 5, 20])).toThrow(/2 spatial axes/);
  });

  test('say what sizes they take', () => {
    expect(() => new Slabs(2, 0, { size: 10, multiple: 4 })).toThrow(/multiple of 4/);
    expect(() => new Slabs(4, 0, { size: 12, multiple: 4 })).toThrow(
      /at least 16 rows, or at most 3/,
    );
    expect(() => new Slabs(2, 0, { size: 12, axis: 4 })).toThrow(ValueError);
    expect(() => new Slabs(2, 0, { size: 12, ndims: 4 })).toThrow(ValueError);
  });

  test('draw together what one process draws', () => {
    const shapes = fc.record({
      ranks: fc.integer({ min: 1, max: 4 }),
      whole: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 3, maxLength: 5 }),
      axis: fc.nat(),
    });
    fc.assert(
      fc.property(shapes, ({ ranks, whole, axis: any }) => {
        const axis = 2 + (any % (whole.length - 2));
        const shape = whole.map((size, i) => (i === axis ? size + ranks : size));
        const one = new RandomStream(5);
        const expected = [one.normalArray(shape.reduce((a, b) => a * b)), one.uniformArray(3)];
        const found = new Float64Array(expected[0]!.length);
        for (let rank = 0; rank < ranks; rank++) {
          const cut = { size: shape[axis]!, axis, ndims: shape.length - 2 };
          const slabs = new Slabs(ranks, rank, cut);
          const stream = new SplitStream(slabs, 5, slabs.slabShape(shape));
          const own = stream.normalArray(slabs.slabShape(shape).reduce((a, b) => a * b));
          for (const { inSlab, inWhole, length } of slabs.runs(shape)) {
            found.set(own.subarray(inSlab, inSlab + length), inWhole);
          }
          expect(RandomStream.from(stream.state).uniformArray(3)).toEqual(expected[1]);
        }
        expect(found).toEqual(expected[0]);
      }),
    );
  });
});

describe('what cannot be split', () => {
  test('is known for every type of the catalogue', () => {
    const modules = networkCatalogue.filter((type) => !activationTypes.includes(type));
    expect(modules.map(({ type }) => type).filter((type) => !(type in obstacles))).toEqual([]);
  });

  test('is named with its place and what to do', () => {
    const patches = new Glow({ channels: 1, squeeze: new ShuffleSqueeze({ pattern: 'patch' }) });
    expect(() => requireLocal(patches)).toThrow(/ShuffleSqueeze, at squeeze, .*'checkerboard'/);
    const wavelets = new Sequential([new WaveletSqueeze({ wavelet: 'db2' })]);
    expect(() => requireLocal(wavelets)).toThrow(/periodic/);
    expect(() => requireLocal(new AffineLayer({ channels: 1, size: [4] }))).toThrow(/ActNorm/);
    const norm = new BatchNorm({ channels: 2 });
    expect(() => requireLocal(norm)).toThrow(/evaluation/);
    norm.training = false;
    requireLocal(norm);
    const custom = new CustomBlock({
      forward: (x) => ({ y: x, saved: {} }),
      backward: (dy) => ({ dx: dy }),
    });
    expect(() => requireLocal(custom)).toThrow(ValueError);
    requireLocal(custom, { local: ['CustomBlock'] });
    class Own extends Identity {
      static override readonly type: string = 'Own';
    }
    expect(() => requireLocal(new Own())).toThrow(/name it in `local`/);
    requireLocal(new Sequential([new Own(), new ActNorm({ channels: 1 })]), { local: ['Own'] });
  });
});

test('one rank has it all', async () => {
  await setBackend('reference', { dtype: 'float64' });
  const plain = getBackend();
  using split = await splitBackend(new SingleProcess(), { size: 4 });
  const numbers = new RandomStream(1).normalArray(32);
  const x = split.scatter([1, 2, 4, 4], numbers);
  expect(split.gather(x)).toEqual(numbers);
  expect(x.backend).toBe(getBackend());
  const w = tensor(new RandomStream(2).normalArray(54), [3, 2, 3, 3]);
  const y = conv(x, w, { padding: 1 });
  expect(() => max(x)).toThrow(/gathered/);
  expect(max(x, { axes: [1] }).shape).toEqual([1, 4, 4]);
  await setBackend(new ReferenceBackend(), { dtype: 'float64' });
  const own = conv(tensor(numbers, x.shape), tensor(w.dataSync<'float64'>(), w.shape), {
    padding: 1,
  });
  expect(y.dataSync()).toEqual(own.dataSync());
  expect(() => split.scatter([1, 2, 4, 4])).toThrow(/gave undefined numbers/);
  expect(() => split.scatter([1, 2, 4, 4], new Float32Array(3))).toThrow(/gave 3 numbers/);
  expect(() => split.random(1, [1, 1, 4, 4]).normal([1, 4, 4])).toThrow(ShapeError);
  split.dispose();
  expect(plain.memory.closed).toBe(true);
  expect(zeros([1]).backend).toBe(getBackend());
});
