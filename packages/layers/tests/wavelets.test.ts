import { RandomStream, setBackend, ValueError, zeros } from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { HaarSqueeze, type WaveletName, WaveletSqueeze } from '../src/index.ts';
import { waveletFilters } from '../src/wavelet-filters.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const names = Object.keys(waveletFilters) as WaveletName[];

describe('wavelet filters', () => {
  it.each(names)('%s is orthonormal, with its vanishing moments', (name) => {
    const h: readonly number[] = waveletFilters[name];
    for (let m = 0; m < h.length / 2; m++) {
      const product = h.reduce((s, v, k) => s + v * (h[k + 2 * m] ?? 0), 0);
      expect(Math.abs(product - (m === 0 ? 1 : 0))).toBeLessThan(1e-14);
    }
    const order = Number(name.replace(/\D/g, '')) * (name.startsWith('coif') ? 2 : 1);
    for (let p = 0; p < order; p++) {
      const moment = h.reduce((s, v, k) => s + (k % 2 ? -1 : 1) * (k / h.length) ** p * v, 0);
      expect(Math.abs(moment)).toBeLessThan(1e-12);
    }
  });

  it('are the known ones', () => {
    const r = Math.sqrt(3);
    const db2 = [1 + r, 3 + r, 3 - r, 1 - r].map((v) => v / (4 * Math.SQRT2));
    waveletFilters.db2.forEach((v, i) => {
      expect(v).toBeCloseTo(db2[i]!, 14);
    });
    // A symlet's largest coefficients stand near its middle, a Daubechies filter's at one end.
    expect(Math.max(...waveletFilters.sym4)).toBeCloseTo(0.8037387518059, 11);
  });
});

describe('WaveletSqueeze', () => {
  it.each(names)('%s keeps lengths, also on axes shorter than the filter', (wavelet) => {
    const x = new RandomStream(1).normal([2, 1, 2, 6]);
    const squeeze = new WaveletSqueeze({ wavelet });
    const { y } = squeeze.forward(x);
    expect(y.shape).toEqual([2, 4, 1, 3]);
    const square = (values: ArrayLike<number>) => Array.from(values).reduce((s, v) => s + v * v, 0);
    expect(square(y.dataSync())).toBeCloseTo(square(x.dataSync()), 11);
    const back = squeeze.inverse(y).x.dataSync();
    x.dataSync().forEach((v: number, i: number) => {
      expect(Math.abs(back[i]! - v)).toBeLessThan(1e-12);
    });
  });

  it('is the Haar squeeze for db1', () => {
    const x = new RandomStream(2).normal([1, 2, 4, 6]);
    const found = new WaveletSqueeze({ wavelet: 'db1' }).forward(x).y.dataSync();
    const expected = new HaarSqueeze().forward(x).y.dataSync();
    expected.forEach((v: number, i: number) => {
      expect(found[i]).toBeCloseTo(v, 13);
    });
  });

  it('says what it expected', () => {
    expect(() => new WaveletSqueeze({ wavelet: 'db11' as WaveletName })).toThrow(ValueError);
    expect(() => new WaveletSqueeze({ wavelet: 'toString' as WaveletName })).toThrow(/db1 to db10/);
    const squeeze = new WaveletSqueeze({ wavelet: 'db2' });
    expect(() => squeeze.forward(zeros([1, 1, 5, 4]))).toThrow(/even spatial sizes/);
    expect(() => squeeze.inverse(zeros([1, 3, 4, 4]))).toThrow(/multiple of 4/);
  });
});
