import { affine, full, memory, RandomStream, setBackend, tensor, tidy } from '@invnet/tensor';
import { expect, it } from 'vitest';
import { Photoacoustic, type PhotoacousticOptions } from '../src/index.ts';
import { adjointError } from './dot.ts';

const common = { size: [11, 14], spacing: 0.2, timeStep: 0.04, steps: 61, every: 2 } as const;

function small(random: RandomStream, options: Partial<PhotoacousticOptions> = {}): Photoacoustic {
  return tidy(() => {
    const medium = affine(random.uniform([1, 1, ...common.size]), 0.2, 1 / 1.6 ** 2);
    const sensors = [
      [0, 0],
      [1.1, 2.55],
      [2, 0.4],
    ] as const;
    return new Photoacoustic({ ...common, border: 5, medium, sensors, ...options });
  });
}

it('has an adjoint to rounding, for media of samples too', async () => {
  await setBackend('reference', { dtype: 'float64' });
  const random = new RandomStream(1);
  using operator = small(random);
  expect([operator.domain, operator.range]).toEqual([
    [1, 11, 14],
    [31, 3],
  ]);
  expect(await adjointError(operator)).toBeLessThan(1e-12);
  const medium = affine(random.uniform([2, 1, ...common.size]), 0.2, 1 / 1.6 ** 2);
  using several = small(random, { medium, border: 0 });
  expect(await adjointError(several)).toBeLessThan(1e-12);
});

it('starts with the pressure itself, at rest, and leaves nothing behind', async () => {
  await setBackend('wasm');
  const before = memory().liveBytes;
  const random = new RandomStream(2);
  {
    using operator = small(random, { every: 1, sensors: [[1, 1.4]] });
    expect(await adjointError(operator)).toBeLessThan(1e-4);
    using image = tidy(() => random.normal([2, 1, 11, 14]));
    using data = operator.forward(image);
    const [pressures, traces] = [image.dataSync(), data.dataSync()];
    for (const sample of [0, 1]) {
      expect(traces[61 * sample]).toBe(pressures[154 * sample + 5 * 14 + 7]);
    }
  }
  expect(memory().liveBytes).toBe(before);
});

it('spreads a disc as the wave equation does: no change inside before its edge arrives, and none left in the end', async () => {
  await setBackend('wasm');
  const [size, spacing, velocity] = [61, 0.1, 1.5];
  const at = (i: number) => (i - 30) * spacing;
  /** A smooth disc of 1 mm. */
  const disc = Float64Array.from({ length: size * size }, (_, k) => {
    const r = Math.hypot(at(Math.floor(k / size)), at(k % size));
    return 0.5 * (1 - Math.tanh((r - 1) / 0.15));
  });
  using operator = new Photoacoustic({
    ...{ size: [size, size], spacing, border: 40, timeStep: 0.02, steps: 400 },
    medium: full([1, 1, size, size], 1 / velocity ** 2),
    sensors: [
      [3, 3],
      [3, 5.5],
    ],
  });
  using image = tensor(disc, [1, 1, size, size]);
  using data = operator.forward(image);
  const traces = data.dataSync();
  const middle = Array.from({ length: 400 }, (_, t) => traces[2 * t]!);
  const outside = Array.from({ length: 400 }, (_, t) => traces[2 * t + 1]!);
  // 0.4 mm before the edge, which is 0.27 µs.
  for (let t = 0; t < 13; t++) expect(Math.abs(middle[t]! - 1)).toBeLessThan(0.01);
  // By Poisson's formula, at the sensor 2.5 mm away and in the middle.
  for (const t of [20, 60, 80, 100, 140]) {
    expect(middle[t]).toBeCloseTo(poisson(0, velocity * 0.02 * t), 2);
    expect(outside[t]).toBeCloseTo(poisson(2.5, velocity * 0.02 * t), 2);
  }
  for (let t = 390; t < 400; t++) expect(Math.abs(outside[t]!)).toBeLessThan(0.02);
});

/** ∂/∂R of 1/(2π) ∫_{|y − x| < R} p₀(y)/√(R² − |y − x|²) dy, for the disc, at a distance from its middle. */
function poisson(distance: number, radius: number): number {
  const disc = (x: number, y: number) => 0.5 * (1 - Math.tanh((Math.hypot(x, y) - 1) / 0.15));
  // |y − x| = R sin s makes of the integral R ∫ (mean of p₀ on the circle) sin s ds.
  const whole = (R: number) => {
    let sum = 0;
    for (let i = 0; i < 400; i++) {
      const s = ((i + 0.5) / 400) * (Math.PI / 2);
      for (let j = 0; j < 100; j++) {
        const angle = ((j + 0.5) / 100) * 2 * Math.PI;
        const r = R * Math.sin(s);
        sum += disc(distance + r * Math.cos(angle), r * Math.sin(angle)) * Math.sin(s);
      }
    }
    return (R * sum * (Math.PI / 2)) / 40_000;
  };
  return (whole(radius + 1e-3) - whole(radius - 1e-3)) / 2e-3;
}
