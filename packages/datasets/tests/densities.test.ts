import {
  memory,
  OutOfMemoryError,
  RandomStream,
  ShapeError,
  setBackend,
  tensor,
  ValueError,
} from '@invnet/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  banana,
  checkerboard,
  eightGaussians,
  funnel,
  type SmoothDensity,
  swirl,
  twoMoons,
} from '../src/index.ts';

beforeAll(() => setBackend('reference', { dtype: 'float64' }));

describe('banana', () => {
  it('has the density that its formula says', () => {
    const bend = 0.7;
    const thickness = 0.3;
    const points = [
      [0, 0],
      [1.5, -0.2],
      [-2, 3],
    ];
    const x = tensor(points);
    const found = banana({ bend, thickness }).logDensity(x).dataSync();
    points.forEach(([x1, x2], i) => {
      const mean = bend * (x1! ** 2 - 1);
      const normal = (v: number, m: number, s: number) =>
        Math.exp(-((v - m) ** 2) / (2 * s * s)) / (s * Math.sqrt(2 * Math.PI));
      expect(found[i]).toBeCloseTo(Math.log(normal(x1!, 0, 1) * normal(x2!, mean, thickness)), 12);
    });
  });

  it('has a density that integrates to 1', () => {
    const step = 0.05;
    const grid: number[][] = [];
    for (let a = -6; a <= 6; a += step) for (let b = -4; b <= 38; b += step) grid.push([a, b]);
    let mass = 0;
    for (const l of banana().logDensity(tensor(grid)).dataSync()) mass += Math.exp(l) * step ** 2;
    expect(mass).toBeCloseTo(1, 5);
  });

  it('has samples whose mean is 0 and whose entropy is that of the density', () => {
    const density = banana();
    const n = 20000;
    const x = density.sample(n, new RandomStream(5));
    expect(x.shape).toEqual([n, 2]);
    const data = x.dataSync();
    const mean = [0, 0];
    data.forEach((v, i) => {
      mean[i % 2]! += v / n;
    });
    expect(mean[0]).toBeCloseTo(0, 1);
    expect(mean[1]).toBeCloseTo(0, 1);
    let entropy = 0;
    for (const l of density.logDensity(x).dataSync()) entropy -= l / n;
    expect(entropy).toBeCloseTo(1 + Math.log(2 * Math.PI * 0.5), 1);
  });

  it('leaves nothing behind', () => {
    const density = banana();
    const before = memory();
    const x = density.sample(10, new RandomStream(1));
    density.logDensity(x).dispose();
    x.dispose();
    expect(memory().liveBytes).toBe(before.liveBytes);
    expect(memory().tensors).toBe(before.tensors);
  });

  it('refuses what makes no sense', () => {
    expect(() => banana({ thickness: 0 })).toThrow(ValueError);
    expect(() => banana().sample(0, new RandomStream(1))).toThrow(/number of points is 0/);
    expect(() => banana().logDensity(tensor([1, 2, 3]))).toThrow(ShapeError);
  });
});

describe('swirl', () => {
  it('lies on its spiral when there is no noise', () => {
    const turns = 2;
    const radius = 3;
    const data = swirl({ turns, radius, noise: 0 }).sample(500, new RandomStream(2)).dataSync();
    for (let i = 0; i < data.length; i += 2) {
      const r = Math.hypot(data[i]!, data[i + 1]!);
      expect(r).toBeLessThanOrEqual(radius);
      const angle = 2 * Math.PI * turns * (r / radius);
      expect(data[i]).toBeCloseTo(r * Math.cos(angle), 10);
      expect(data[i + 1]).toBeCloseTo(r * Math.sin(angle), 10);
    }
  });

  it('follows from the seed, and refuses what makes no sense', () => {
    const draw = (seed: number) => swirl().sample(50, new RandomStream(seed)).dataSync();
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    expect(() => swirl({ noise: -1 })).toThrow(ValueError);
    expect(() => swirl().sample(1.5, new RandomStream(1))).toThrow(/number of points is 1.5/);
  });
});

describe('twoMoons', () => {
  it('lies on its two arcs when there is no noise', () => {
    const data = twoMoons({ noise: 0 }).sample(500, new RandomStream(3)).dataSync();
    let upper = 0;
    for (let i = 0; i < data.length; i += 2) {
      const [x, y] = [data[i]!, data[i + 1]!];
      const onUpper = Math.abs(Math.hypot(x + 0.5, y + 0.25) - 1) < 1e-9 && y >= -0.25;
      const onLower = Math.abs(Math.hypot(x - 0.5, y - 0.25) - 1) < 1e-9 && y <= 0.25;
      expect(onUpper || onLower).toBe(true);
      if (onUpper) upper += 1;
    }
    expect(upper).toBeGreaterThan(200);
    expect(upper).toBeLessThan(300);
    expect(() => twoMoons({ noise: Number.NaN })).toThrow(ValueError);
  });
});

describe('checkerboard', () => {
  it('fills the eight dark squares alike, and no other', () => {
    const n = 8000;
    const data = checkerboard().sample(n, new RandomStream(4)).dataSync();
    const counts = new Map<string, number>();
    for (let i = 0; i < data.length; i += 2) {
      const [column, row] = [Math.floor(data[i]! + 2), Math.floor(data[i + 1]! + 2)];
      expect((column + row) % 2).toBe(0);
      counts.set(`${column},${row}`, (counts.get(`${column},${row}`) ?? 0) + 1);
    }
    expect(counts.size).toBe(8);
    for (const count of counts.values()) expect(Math.abs(count - n / 8)).toBeLessThan(150);
  });
});

describe('eightGaussians', () => {
  it('has a density that integrates to 1, and samples of its entropy', () => {
    const density = eightGaussians();
    const step = 0.05;
    const grid: number[][] = [];
    for (let a = -4; a <= 4; a += step) for (let b = -4; b <= 4; b += step) grid.push([a, b]);
    let mass = 0;
    for (const l of density.logDensity(tensor(grid)).dataSync()) mass += Math.exp(l) * step ** 2;
    expect(mass).toBeCloseTo(1, 5);
    const x = density.sample(20000, new RandomStream(5));
    let entropy = 0;
    for (const l of density.logDensity(x).dataSync()) entropy -= l / 20000;
    // The components hardly overlap: log 8, and that of each.
    expect(entropy).toBeCloseTo(Math.log(8) + 1 + Math.log(2 * Math.PI * 0.04), 1);
  });

  it('refuses what makes no sense', () => {
    expect(() => eightGaussians({ deviation: 0 })).toThrow(ValueError);
    expect(() => eightGaussians().logDensity(tensor([1, 2, 3]))).toThrow(ShapeError);
  });
});

describe('all of them', () => {
  const samplers = { banana, swirl, twoMoons, checkerboard, eightGaussians };

  it.each(Object.entries(samplers))('%s names what it cannot use', (name, make) => {
    const random = new RandomStream(1);
    for (const n of [0, 1.5, -1, Number.NaN, '3' as unknown as number]) {
      expect(() => make().sample(n, random)).toThrow(ValueError);
    }
    expect(() => make().sample(2 ** 40, random)).toThrow(OutOfMemoryError);
    expect(() => make().sample(3, 1 as never)).toThrow(`${name}: random is 1`);
    if (make === checkerboard) return;
    const misnamed = make as (options: object) => unknown;
    expect(() => misnamed({ spread: 1 })).toThrow(/no option 'spread'/);
  });

  it.each([banana(), eightGaussians()])('take points only', (density) => {
    expect(() => density.logDensity([[1, 2]] as never)).toThrow(/expected a tensor/);
  });
});

describe('funnel', () => {
  it('has the density that its formula says', () => {
    const points = [
      [0, 0, 0],
      [2, -1, 3],
      [-1.5, 0.2, 0.4],
    ];
    const found = funnel({ channels: 3, deviation: 2 }).logDensity(tensor(points)).dataSync();
    const normal = (v: number, variance: number) =>
      -(v ** 2) / (2 * variance) - 0.5 * Math.log(2 * Math.PI * variance);
    points.forEach(([v, ...rest], i) => {
      const expected = rest.reduce((sum, x) => sum + normal(x, Math.exp(v!)), normal(v!, 4));
      expect(found[i]).toBeCloseTo(expected, 12);
    });
  });

  it('has samples whose entropy is that of the density', () => {
    const [density, n] = [funnel({ channels: 3 }), 20_000];
    const found = density.logDensity(density.sample(n, new RandomStream(6))).dataSync();
    // Of normal numbers, of log-deviations log 3 and twice x₁/2, whose mean is 0.
    const exact = 1.5 * (1 + Math.log(2 * Math.PI)) + Math.log(3);
    const entropy = -found.reduce((sum, l) => sum + l / n, 0);
    const spread = Math.sqrt(found.reduce((sum, l) => sum + (l + entropy) ** 2, 0)) / n;
    expect(Math.abs(entropy - exact)).toBeLessThan(3 * spread);
  });

  it('refuses one channel, and points of others', () => {
    expect(() => funnel({ channels: 1 })).toThrow(/channels is 1/);
    expect(() => funnel().logDensity(tensor([[1, 2, 3]]))).toThrow(/expected \[n, 2\]/);
  });
});

describe('the gradient of a log-density', () => {
  const densities: Record<string, SmoothDensity> = {
    banana: banana({ bend: 0.7, thickness: 0.3 }),
    eightGaussians: eightGaussians({ radius: 1.5, deviation: 0.6 }),
    funnel: funnel({ deviation: 1.5 }),
    'funnel of four': funnel({ channels: 4 }),
  };

  it.each(Object.entries(densities))('of %s is that of central differences', (_, density) => {
    using x = density.sample(6, new RandomStream(8));
    const [values, [n, channels]] = [Array.from(x.dataSync()), x.shape];
    const before = memory();
    const found = density.score(x);
    expect(memory().tensors).toBe(before.tensors + 1);
    expect(memory().liveBytes).toBe(before.liveBytes + 8 * x.size);
    const h = 1e-6;
    const at = (i: number, by: number) =>
      density.logDensity(tensor(values.with(i, values[i]! + by), [n!, channels!])).dataSync();
    found.dataSync().forEach((slope, i) => {
      const sample = Math.floor(i / channels!);
      const expected = (at(i, h)[sample]! - at(i, -h)[sample]!) / (2 * h);
      expect(Math.abs(slope - expected)).toBeLessThan(1e-7 * (1 + Math.abs(slope)));
    });
  });
});
