/** Tomography: projections that are known in closed form, scikit-image's, adjoints, and the direct inverse. */
import { assertAdjoint, operatorNorm, operatorOf } from '@invnet/jvp';
import {
  BackendError,
  memory,
  ReferenceBackend,
  ShapeError,
  setBackend,
  type Tensor,
  tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { filteredBackProjection, Radon, totalVariation } from '../src/index.ts';
import { adjointError } from './dot.ts';
import { itAgreesWith } from './python.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

/** exp(−((x − a)² + (y − b)²) / 2σ²) with y up, on pixels around the middle. */
function blob(
  height: number,
  width: number,
  [a, b]: readonly [number, number],
  sigma: number,
): Tensor {
  const pixels = Array.from({ length: height * width }, (_, k) => {
    const y = (height - 1) / 2 - Math.floor(k / width);
    const x = (k % width) - (width - 1) / 2;
    return Math.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * sigma ** 2));
  });
  return tensor(pixels, [1, 1, height, width]);
}

/** Two blobs within the circle that 33 pixels and bins see from all sides. */
function phantom(): Tensor {
  const pixels = Array.from({ length: 33 * 33 }, (_, k) => {
    const [y, x] = [Math.floor(k / 33) - 16, (k % 33) - 16];
    if (y * y + x * x >= 15.5 ** 2) return 0;
    const round = Math.exp(-((y + 3) ** 2 + (x - 5) ** 2) / 18);
    return round + 0.5 * Math.exp(-((y - 4) ** 2 / 8 + (x + 2) ** 2 / 32));
  });
  return tensor(pixels, [1, 1, 33, 33]);
}

/** Not of any image. */
const sinogram = () =>
  tensor(
    Array.from({ length: 12 * 33 }, (_, k) => Math.cos(0.3 * k)),
    [1, 1, 12, 33],
  );

/** scikit-image 0.26: every 41st number of the phantom's `radon` from number 5 on. */
const recordedViews = [
  0.1993, 2.6862, 7.3187, 0.3888, 0.0116, 5.5027, 5.4527, 0.0031, 0.0296, 7.9057,
];
/** Numbers 500, 513, … 591 of `iradon` of the sinogram. */
const recordedImages = {
  ramp: [
    -0.000927198987, 0.008650273898, -0.012714134768, -0.010751115844, 0.005177844614,
    0.002163828956, 0.006871943868, -0.013635901491,
  ],
  hann: [
    -0.000393502144, 0.008469206658, -0.015735143925, -0.01047233856, 0.005092832507,
    0.002271532744, 0.006718485486, -0.012250924107,
  ],
};

const relative = (found: ArrayLike<number>, expected: ArrayLike<number>) =>
  Math.hypot(...Array.from(found, (v, i) => v - expected[i]!)) /
  Math.hypot(...Array.from(expected));

describe('Radon', () => {
  it('has the projections of a Gaussian, whose are known', () => {
    const angles = [0, 0.4, Math.PI / 4, 1.3, Math.PI / 2, 2.5, -0.7, 4];
    const radon = new Radon({ size: [40, 31], views: angles });
    expect(radon.range).toEqual([1, 8, 51]);
    const at = [4, -6] as const;
    const found = radon.forward(blob(40, 31, at, 2.5)).dataSync();
    const expected = angles.flatMap((angle) =>
      Array.from({ length: 51 }, (_, b) => {
        const s = b - 25 - at[0] * Math.cos(angle) - at[1] * Math.sin(angle);
        return Math.sqrt(2 * Math.PI) * 2.5 * Math.exp(-(s ** 2) / (2 * 2.5 ** 2));
      }),
    );
    // Of linear interpolation; the blob's foot beyond the edges is less.
    expect(relative(found, expected)).toBeLessThan(0.02);
    const total = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);
    expect(total(found) / total(expected)).toBeCloseTo(1, 4);
  });

  it('is nearly the one of scikit-image, which turns images instead', () => {
    const found = new Radon({ size: [33, 33], views: 12, bins: 33 }).forward(phantom()).dataSync();
    recordedViews.forEach((v, i) => {
      expect(Math.abs(found[5 + 41 * i]! - v)).toBeLessThan(0.05);
    });
  });

  it('has its adjoint, at all angles, sizes and numbers of bins', async () => {
    for (const options of [
      { size: [7, 12], views: 9 },
      { size: [12, 5], views: [0, Math.PI / 4, Math.PI / 2, 3, -2], bins: 4 },
      { size: [1, 1], views: 3, bins: 1 },
    ] as const) {
      expect(await adjointError(new Radon(options))).toBeLessThan(1e-11);
    }
  });

  it('is on wasm what it is in float64, keeps nothing, and is refused where results come later', async () => {
    const radon = new Radon({ size: [33, 33], views: 12 });
    const expected = radon.forward(phantom()).dataSync<'float64'>();
    await setBackend('wasm');
    await assertAdjoint(operatorOf(radon));
    const before = memory();
    const image = phantom();
    const data = radon.forward(image);
    const back = radon.adjoint(data);
    expect(relative(data.dataSync(), expected)).toBeLessThan(1e-6);
    expect(back.shape).toEqual([1, 1, 33, 33]);
    for (const t of [image, data, back]) t.dispose();
    expect(memory()).toMatchObject({ liveBytes: before.liveBytes, tensors: before.tensors });
    class Later extends ReferenceBackend {
      override readSync(): never {
        throw new BackendError('not yet');
      }
    }
    await setBackend(new Later());
    expect(() => radon.forward(phantom())).toThrow(/Radon: it runs on the host, and reference/);
  });

  it('refuses sizes, views and data that do not fit', () => {
    expect(() => new Radon({ size: [6, 6, 2] as never, views: 3 })).toThrow(
      /expected \[height, width\]/,
    );
    const make = (options: object) => () => new Radon({ size: [8, 6], views: 4, ...options });
    expect(make({ size: [8] })).toThrow(ValueError);
    expect(make({ views: [] })).toThrow(/expected 1 to 32768 angles/);
    expect(make({ views: [0, Number.NaN] })).toThrow(/the angle of view 1 is NaN/);
    expect(make({ bins: 2.5 })).toThrow(ValueError);
    expect(() => make({})().forward(zeros([1, 8, 6]))).toThrow(/expected \[N, 1, 8, 6\]/);
    expect(() => make({})().adjoint(zeros([2, 1, 5, 10]))).toThrow(ShapeError);
  });
});

describe('filteredBackProjection', () => {
  it.each(['ramp', 'hann'] as const)('is that of scikit-image, with the filter %s', (filter) => {
    const radon = new Radon({ size: [33, 33], views: 12, bins: 33 });
    const found = filteredBackProjection(radon, sinogram(), { filter }).dataSync();
    recordedImages[filter].forEach((v, i) => {
      // Its Hann window is not quite symmetric.
      expect(Math.abs(found[500 + 13 * i]! - v)).toBeLessThan(filter === 'ramp' ? 1e-11 : 1e-3);
    });
  });

  it('inverts the transform, each image of a batch', () => {
    const radon = new Radon({ size: [40, 31], views: 90 });
    const blobs = [blob(40, 31, [4, -6], 2.5), blob(40, 31, [-3, 9], 2)];
    const images = tensor(
      blobs.flatMap((b) => [...b.dataSync()]),
      [2, 1, 40, 31],
    );
    const back = filteredBackProjection(radon, radon.forward(images));
    expect(relative(back.dataSync(), images.dataSync())).toBeLessThan(0.05);
    const narrow = new Radon({ size: [3, 3], views: 2, bins: 1 });
    expect([...filteredBackProjection(narrow, zeros([1, 1, 2, 1])).dataSync()]).toEqual(
      new Array(9).fill(0),
    );
  });

  it('is worse than total variation where views are few', async () => {
    const radon = new Radon({ size: [33, 33], views: 12, bins: 33 });
    const data = radon.forward(phantom());
    const norm = 1.01 * (await operatorNorm(operatorOf(radon)));
    const [direct, fitted] = [
      filteredBackProjection(radon, data),
      await totalVariation(radon, data, { weight: 0.2, iterations: 100, norm }),
    ].map((image) => relative(image.dataSync(), phantom().dataSync()));
    expect(fitted).toBeLessThan(0.7 * direct!);
  });

  it('refuses other operators, filters and data', () => {
    using narrow = new Radon({ size: [6, 6], views: [0, 0.1] });
    const few = zeros([1, ...narrow.range]);
    expect(() => filteredBackProjection(narrow, few)).toThrow(/expected angles that are even/);
    using even = new Radon({ size: [6, 6], views: [1, 1 + Math.PI / 2 - 2 * Math.PI] });
    expect(filteredBackProjection(even, few).shape).toEqual([1, 1, 6, 6]);
    const radon = new Radon({ size: [8, 6], views: 4 });
    const data = zeros([1, 1, 4, 10]);
    const none = { forward: () => data, adjoint: () => data };
    expect(() => filteredBackProjection(none as never, data)).toThrow(/expected a Radon/);
    expect(() => filteredBackProjection(radon, data, { filter: 'cosine' as never })).toThrow(
      /expected one of 'ramp', 'hann'/,
    );
    expect(() => filteredBackProjection(radon, zeros([1, 1, 4, 9]))).toThrow(/\[N, 1, 4, 10\]/);
  });
});

itAgreesWith(['numpy', 'skimage'], 'radon and iradon of scikit-image', (run) => {
  const radon = new Radon({ size: [33, 33], views: 12, bins: 33 });
  const program = `
import numpy as np
from skimage.transform import radon, iradon
angles = np.arange(12) * 15
views = radon(np.array(given['phantom']).reshape(33, 33), angles).T
s = np.array(given['sinogram']).reshape(12, 33).T
images = [iradon(s, angles, filter_name=f, circle=True) for f in ('ramp', 'hann')]
json.dump([x.ravel().tolist() for x in [views] + images], sys.stdout)
`;
  const given = { phantom: [...phantom().dataSync()], sinogram: [...sinogram().dataSync()] };
  const [views, ramp, hann] = run(program, given) as [number[], number[], number[]];
  expect(relative(radon.forward(phantom()).dataSync(), views)).toBeLessThan(0.01);
  for (const [filter, expected, error] of [
    ['ramp', ramp, 1e-11],
    ['hann', hann, 1e-3],
  ] as const) {
    const found = filteredBackProjection(radon, sinogram(), { filter }).dataSync();
    found.forEach((v, k) => {
      const [y, x] = [Math.floor(k / 33) - 16, (k % 33) - 16];
      if (Math.hypot(x, y) < 15.9) expect(Math.abs(v - expected[k]!)).toBeLessThan(error);
    });
  }
});
