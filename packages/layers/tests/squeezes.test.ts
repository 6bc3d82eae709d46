import {
  concat,
  full,
  ones,
  permute,
  RandomStream,
  ShapeError,
  setBackend,
  tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  build,
  describe as describeModule,
  HaarSqueeze,
  ShuffleSqueeze,
  type Squeeze,
  type WaveletName,
  WaveletSqueeze,
} from '../src/index.ts';
import { waveletFilters } from '../src/squeezes/wavelet-filters.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const names = Object.keys(waveletFilters) as WaveletName[];

/** How far the phase of the frequency response bends away from a line. */
function bend(h: readonly number[]): number {
  const count = 256;
  // Nearer to π the response vanishes, and with it the digits of its phase.
  const end = 0.9 * Math.PI;
  let [re, im, phase] = [1, 0, 0];
  const phases = Array.from({ length: count }, (_, i) => {
    const w = (end * i) / (count - 1);
    const a = h.reduce((s, v, k) => s + v * Math.cos(k * w), 0);
    const b = h.reduce((s, v, k) => s + v * Math.sin(k * w), 0);
    phase += Math.atan2(b * re - a * im, a * re + b * im);
    [re, im] = [a, b];
    return phase;
  });
  return Math.max(...phases.map((p, i) => Math.abs(p - (phases.at(-1)! * i) / (count - 1))));
}

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
    // Of ten zeros, the choice that is published, in its order.
    expect(waveletFilters.sym10[0]).toBeCloseTo(-0.00045932942100465, 13);
    expect(waveletFilters.sym10.at(-1)).toBeCloseTo(0.00077015980911449, 13);
    expect(waveletFilters.coif5[0]).toBeCloseTo(-0.000212081862067494, 15);
  });

  it.each([1, 2, 3, 4, 5] as const)('coif%i has vanishing moments of the scaling function', (k) => {
    const h: readonly number[] = waveletFilters[`coif${k}`];
    for (let p = 1; p < 2 * k; p++) {
      const moment = h.reduce((s, v, i) => s + ((i - 2 * k) / h.length) ** p * v, 0);
      expect(Math.abs(moment)).toBeLessThan(1e-14);
    }
  });

  it.each([4, 5, 6, 7, 8, 9, 10] as const)(
    'sym%i is nearer to symmetry than the Daubechies filter of its length',
    (n) => {
      const [sym, db] = ([`sym${n}`, `db${n}`] as const).map((name) => bend(waveletFilters[name]));
      expect(sym).toBeLessThan(db! / 2);
    },
  );
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

  it.each(names)('%s is an orthogonal matrix, the filters at every second position', (wavelet) => {
    const n = 6;
    const identity = Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) ? 0 : 1));
    const { y } = new WaveletSqueeze({ wavelet }).forward(tensor(identity, [n, 1, n]));
    // Sample j is the j-th unit vector, so row j of y is column j of Q.
    const q = (row: number, column: number) => y.dataSync()[column * n + row]!;
    const h: readonly number[] = waveletFilters[wavelet];
    const expected = Array.from({ length: n }, () => new Float64Array(n));
    for (let k = 0; k < n / 2; k++) {
      h.forEach((v, m) => {
        expected[k]![(2 * k + m) % n]! += v;
        expected[n / 2 + k]![(2 * k + m) % n]! += (m % 2 ? -1 : 1) * h[h.length - 1 - m]!;
      });
    }
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        expect(Math.abs(q(i, j) - expected[i]![j]!)).toBeLessThan(1e-15);
        let product = 0;
        for (let k = 0; k < n; k++) product += q(i, k) * q(j, k);
        expect(Math.abs(product - (i === j ? 1 : 0))).toBeLessThan(1e-14);
      }
    }
  });

  it.each(['db1', 'db3', 'coif2'] as const)(
    '%s puts the low-pass band first, k·C + c',
    (wavelet) => {
      // Constant channels 1 and 2 in 3D have no detail, whatever the wavelet.
      const x = concat([ones([1, 1, 4, 2, 6]), full([1, 1, 4, 2, 6], 2)], 1);
      const { y } = new WaveletSqueeze({ wavelet }).forward(x);
      expect(y.shape).toEqual([1, 16, 2, 1, 3]);
      const positions = 6;
      y.dataSync().forEach((v: number, i: number) => {
        const constant = [1, 2][Math.floor(i / positions)] ?? 0;
        expect(v).toBeCloseTo(constant * Math.sqrt(8), 12);
      });
    },
  );

  it.each([{ shape: [1, 2, 6] }, { shape: [1, 2, 4, 6] }, { shape: [2, 1, 2, 4, 6] }])(
    'is the Haar squeeze for db1: $shape',
    ({ shape }) => {
      const x = new RandomStream(2).normal(shape);
      const found = new WaveletSqueeze({ wavelet: 'db1' }).forward(x).y.dataSync();
      const expected = new HaarSqueeze().forward(x).y.dataSync();
      expected.forEach((v: number, i: number) => {
        expect(found[i]).toBeCloseTo(v, 13);
      });
    },
  );

  it('says what it expected', () => {
    expect(() => new WaveletSqueeze({ wavelet: 'db11' as WaveletName })).toThrow(ValueError);
    expect(() => new WaveletSqueeze({ wavelet: 'toString' as WaveletName })).toThrow(
      /one of 'db1', 'db2'/,
    );
    const squeeze = new WaveletSqueeze({ wavelet: 'db2' });
    expect(() => squeeze.forward(zeros([1, 1, 5, 4]))).toThrow(/even spatial sizes/);
    expect(() => squeeze.inverse(zeros([1, 3, 4, 4]))).toThrow(/multiple of 4/);
  });
});

describe('squeezes', () => {
  const image = () =>
    tensor(
      Array.from({ length: 16 }, (_, i) => i),
      [1, 1, 4, 4],
    );

  it.each([
    ['column', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]],
    ['patch', [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15]],
    ['checkerboard', [0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15]],
  ] as const)('%s moves positions into channels as its picture says', (pattern, expected) => {
    const { y } = new ShuffleSqueeze({ pattern }).forward(image());
    expect(y.shape).toEqual([1, 4, 2, 2]);
    expect([...y.dataSync()]).toEqual(expected);
  });

  it.each(['column', 'patch', 'checkerboard'] as const)(
    '%s has its channels in two orders',
    (pattern) => {
      const of = (order: 'position' | 'channel') => new ShuffleSqueeze({ pattern, order });
      const x = new RandomStream(2).normal([2, 3, 2, 4, 6]);
      const [y, z] = [of('position').forward(x).y, of('channel').forward(x).y];
      // k·C + c against c·8 + k
      const moved = permute(y.reshape([2, 8, 3, 6]), [0, 2, 1, 3]).reshape(z.shape);
      expect([...z.dataSync()]).toEqual([...moved.dataSync()]);
      expect([...of('position').inverse(y).x.dataSync()]).toEqual([...x.dataSync()]);
      expect([...of('channel').inverse(z).x.dataSync()]).toEqual([...x.dataSync()]);
    },
  );

  it('Haar gives averages and differences of each block', () => {
    const { y } = new HaarSqueeze().forward(image());
    // Of the block 0 1 / 4 5: half its sum, then its differences along W, along H, and both.
    expect([0, 4, 8, 12].map((i) => y.dataSync()[i])).toEqual([5, -1, -4, 0]);
  });

  it('refuse data that they cannot halve', () => {
    expect(() => new HaarSqueeze().forward(zeros([1, 1, 4, 5]))).toThrow(/\[1, 1, 4, 5\].*even/);
    expect(() => new HaarSqueeze().inverse(zeros([1, 3, 2, 2]))).toThrow(/multiple of 4/);
    expect(() => new ShuffleSqueeze().forward(zeros([2, 2]))).toThrow(ShapeError);
  });

  const squeezes = [
    { squeeze: new ShuffleSqueeze(), config: { pattern: 'checkerboard' } },
    { squeeze: new ShuffleSqueeze({ pattern: 'column' }), config: { pattern: 'column' } },
    { squeeze: new ShuffleSqueeze({ pattern: 'patch' }), config: { pattern: 'patch' } },
    {
      squeeze: new ShuffleSqueeze({ order: 'channel' }),
      config: { pattern: 'checkerboard', order: 'channel' },
    },
    { squeeze: new HaarSqueeze(), config: {} },
    { squeeze: new WaveletSqueeze({ wavelet: 'db2' }), config: { wavelet: 'db2' } },
  ];

  it.each(squeezes)('$squeeze.type $config says shapes without computing', ({ squeeze }) => {
    expect(squeeze.outputShape([2, 3, 4, 6])).toEqual([2, 12, 2, 3]);
    expect(squeeze.inputShape([2, 12, 2, 3])).toEqual([2, 3, 4, 6]);
    expect(squeeze.outputShape([1, 1, 2])).toEqual([1, 2, 1]);
    expect(squeeze.inputShape([1, 8, 1, 2, 3])).toEqual([1, 1, 2, 4, 6]);
    expect(() => squeeze.outputShape([1, 1, 4, 5])).toThrow(/\[1, 1, 4, 5\].*even/);
    expect(() => squeeze.inputShape([1, 3, 2, 2])).toThrow(/multiple of 4/);
    expect(() => squeeze.outputShape([1, 2])).toThrow(ShapeError);
  });

  it.each(squeezes)('$squeeze.type $config is described and built again', (row) => {
    const { squeeze, config } = row;
    expect(describeModule(squeeze)).toEqual({ $type: squeeze.type, ...config });
    const modules = [ShuffleSqueeze, HaarSqueeze, WaveletSqueeze];
    const again = build(describeModule(squeeze), { modules }) as Squeeze;
    const x = new RandomStream(5).normal([2, 1, 4, 6]);
    expect([...again.forward(x).y.dataSync()]).toEqual([...squeeze.forward(x).y.dataSync()]);
  });

  it('refuse patterns and wavelets that they do not know', () => {
    const shuffle = (pattern: unknown) => new ShuffleSqueeze({ pattern: pattern as 'patch' });
    expect(() => shuffle('rows')).toThrow(ValueError);
    expect(() => shuffle('rows')).toThrow(
      /'rows'; expected one of 'column', 'patch', 'checkerboard'/,
    );
    expect(() => shuffle(['patch'])).toThrow(ValueError);
    const order = 'wavelet' as 'channel';
    expect(() => new ShuffleSqueeze({ order })).toThrow(/'wavelet'; expected one of 'position'/);
    const wavelet = ['db2'] as unknown as WaveletName;
    expect(() => new WaveletSqueeze({ wavelet })).toThrow(ValueError);
  });
});
