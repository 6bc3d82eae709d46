import { ShapeError, ValueError } from '@invnet/tensor';
import { describe, expect, it } from 'vitest';
import { layeredEarth, smoothedEarth } from '../src/index.ts';

const size = [64, 96] as const;
const [rows, columns] = size;

describe('layeredEarth', () => {
  it('is the same section for a seed, and another for another', () => {
    const section = layeredEarth({ seed: 5, size });
    expect(layeredEarth({ seed: 5, size })).toEqual(section);
    expect(layeredEarth({ seed: 6, size })).not.toEqual(section);
    // As it was when the generator was made: who trained on it can make it again.
    const [first, middle, last] = [0, 32 * columns + 48, rows * columns - 1].map((i) => section[i]);
    expect([first, middle, last].map((v) => v!.toFixed(4))).toEqual(['2.1690', '2.0065', '2.6953']);
  });

  it('has layers whose velocities grow with depth, on average, within their range', () => {
    const byDepth = [0, 0, 0, 0];
    const counts: number[] = [];
    for (let seed = 0; seed < 30; seed++) {
      const section = layeredEarth({ seed, size });
      expect(section.every((v) => v >= 1.5 && v <= 4.5)).toBe(true);
      counts.push(new Set(section).size);
      section.forEach((v, i) => {
        byDepth[Math.floor((4 * i) / section.length)]! += (4 * v) / section.length / 30;
      });
    }
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(5);
    expect(Math.max(...counts)).toBeLessThanOrEqual(25);
    const [top, upper, lower, bottom] = byDepth;
    expect([
      top! > 1.8,
      upper! > top! + 0.2,
      lower! > upper! + 0.2,
      bottom! > lower! + 0.2,
    ]).toEqual([true, true, true, true]);
    expect(bottom).toBeLessThan(3.5);
  });

  it('has faults, which cut layers that are smooth without them', () => {
    // How far the top of a layer lies from its top in the next column, in cells, at most.
    const steepest = (seed: number, faults: number) => {
      const section = layeredEarth({ seed, size, faults });
      const tops = Array.from({ length: columns }, (_, column) => {
        const line = Array.from({ length: rows }, (_, row) => section[row * columns + column]!);
        return new Map([...new Set(line)].slice(1).map((v) => [v, line.indexOf(v)]));
      });
      return tops.slice(1).reduce((most, next, i) => {
        const jumps = [...next].map(([v, row]) => Math.abs(row - (tops[i]!.get(v) ?? row)));
        return Math.max(most, ...jumps);
      }, 0);
    };
    const seeds = Array.from({ length: 20 }, (_, seed) => seed);
    expect(Math.max(...seeds.map((seed) => steepest(seed, 0)))).toBe(1);
    const cut = seeds.filter((seed) => steepest(seed, 3) > 1);
    expect(cut.length).toBeGreaterThan(8);
  });

  it('has pockets of gas where they are asked for, and is the same elsewhere', () => {
    const seeds = Array.from({ length: 20 }, (_, seed) => seed);
    const shares = seeds.map((seed) => {
      const without = layeredEarth({ seed, size });
      const section = layeredEarth({ seed, size, pockets: 2 });
      const changed = [...section.keys()].filter((i) => section[i] !== without[i]);
      for (const i of changed) {
        expect(section[i]! / without[i]!).toBeGreaterThan(0.549);
        expect(section[i]! / without[i]!).toBeLessThan(0.901);
      }
      return changed.length / section.length;
    });
    expect(shares.filter((share) => share > 0).length).toBeGreaterThan(8);
    expect(shares).toContain(0);
    expect(Math.max(...shares)).toBeLessThan(0.4);
  });

  it('has water on top where it is asked for, and scales with its cells', () => {
    const options = { seed: 3, size, water: 110 };
    const section = layeredEarth(options);
    // Rows at 0, 25 … 100 m.
    expect(section.subarray(0, 5 * columns).every((v) => v === 1.5)).toBe(true);
    expect(section.subarray(5 * columns, 6 * columns).some((v) => v !== 1.5)).toBe(true);
    const fine = layeredEarth({ ...options, size: [2 * rows, 2 * columns], spacing: 12.5 });
    const [row, column] = [40, 70];
    expect(fine[2 * row * 2 * columns + 2 * column]).toBe(section[row * columns + column]);
  });

  it.each([
    { seed: -1, size },
    { seed: 1, size: [64] },
    { seed: 1, size: [0, 96] },
    { seed: 1, size, spacing: 0 },
    { seed: 1, size, thickness: Number.NaN },
    { seed: 1, size, thickness: 24 },
    { seed: 1, size, spacing: 1e300, thickness: 1e300 },
    { seed: 1, size, faults: 0.5 },
    { seed: 1, size, water: -1 },
    { seed: 1, size, pockets: -1 },
    { seed: 1, size, salt: 1 },
  ])('refuses %o', (options) => {
    expect(() => layeredEarth(options as { seed: number; size: [number, number] })).toThrow(
      ValueError,
    );
  });
});

describe('smoothedEarth', () => {
  it('averages slowness by a Gaussian, and leaves what is constant', () => {
    const constant = new Float32Array(12).fill(2.5);
    expect(smoothedEarth(constant, { size: [3, 4], width: 1 })).toEqual(constant);
    const spike = new Float32Array(41 * 31).fill(2);
    spike[20 * 31 + 15] = 4;
    const smooth = smoothedEarth(spike, { size: [41, 31], width: 2 });
    // Slowness falls by ¼ at the spike, so by ¼ of the Gaussian around it.
    for (const [down, along] of [
      [0, 0],
      [3, 0],
      [0, -2],
      [-4, 1],
    ] as const) {
      const gaussian = Math.exp(-(down ** 2 + along ** 2) / 8) / (8 * Math.PI);
      const slowness = 1 / smooth[(20 + down) * 31 + 15 + along]!;
      expect(slowness).toBeCloseTo(0.5 - 0.25 * gaussian, 5);
    }
  });

  it('refuses another size and velocities that are none', () => {
    const velocity = Float32Array.of(1, 2, 3, 4);
    const options = { size: [2, 2], width: 1 } as const;
    expect(() => smoothedEarth(velocity.subarray(1), options)).toThrow(ShapeError);
    expect(() => smoothedEarth(velocity, { ...options, width: 0 })).toThrow(ValueError);
    expect(() => smoothedEarth(Float32Array.of(1, 2, 0, 4), options)).toThrow(/a velocity of 0/);
  });
});
