import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShapeError, ValueError } from '@invnet/tensor';
import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { NpyFormatError } from '../src/npy.ts';
import { NpzFormatError, parseNpz, writeNpz } from '../src/npz.ts';
import { expectTypedErrors, range } from './damage.ts';

const recorded = (name: string) => readFile(join(import.meta.dirname, 'files', name));

/** The first or the second row of three of each of seven samples. */
const parts = (second: number) =>
  Array.from({ length: 21 }, (_, i) => 6 * Math.floor(i / 3) + 3 * second + (i % 3));

const arrays = {
  theta: { shape: [2, 2], data: Float64Array.of(1, 2, 3, 1e300) },
  x: { shape: [3], data: Int16Array.of(-1, 0, 5) },
};

describe('parseNpz', () => {
  it('reads what NumPy writes, compressed and not', async () => {
    const theta = { shape: [7, 3], data: Float64Array.from(parts(0)) };
    const x = { shape: [7, 3], data: Float32Array.from(parts(1)) };
    const zeros = { shape: [50, 3], data: new Float32Array(150) };
    expect(parseNpz(await recorded('stored.npz'))).toEqual({ theta, x });
    expect(parseNpz(await recorded('compressed.npz'))).toEqual({ theta, x: zeros });
  });

  it.each([true, false])('reads what writeNpz writes (compress: %s)', (compress) => {
    const file = writeNpz(arrays, { compress });
    expect(parseNpz(file)).toEqual(arrays);
    expect(file).toEqual(writeNpz(arrays, { compress }));
  });

  it('names other files, and what is no array in them', () => {
    const file = (name: string, content: Uint8Array) => zipSync({ [name]: content });
    const text = Buffer.from('a text');
    const npy = Buffer.from('\x93NUMPY\x01', 'latin1');
    expect(() => parseNpz(text, 'x.npz')).toThrow(/^parseNpz: x\.npz is not an NPZ file.*'a text'/);
    expect(() => parseNpz(npy)).toThrow(/It is an NPY file, which parseNpy reads/);
    expect(() => parseNpz(file('a.txt', text))).toThrow(/holds 'a\.txt'; expected arrays alone/);
    expect(() => parseNpz(file('a.npy', text))).toThrow(NpyFormatError);
    expect(() => parseNpz(file('a.npy', text), 'x.npz')).toThrow(/x\.npz: a\.npy is not an NPY/);
    expect(() => parseNpz(new Uint8Array(0))).toThrow(NpzFormatError);
    expect(() => parseNpz('x' as never)).toThrow(ValueError);
  });

  it('gives typed errors, or numbers, for all that is cut short or damaged', async () => {
    for (const name of ['stored.npz', 'compressed.npz']) {
      const file = new Uint8Array(await recorded(name));
      const everywhere = { lengths: range(0, file.length, 2), places: range(0, file.length, 3) };
      await expectTypedErrors(file, (bytes) => parseNpz(bytes), everywhere);
    }
  });
});

describe('writeNpz', () => {
  it('refuses no arrays, names that are none, and arrays that are none', () => {
    expect(() => writeNpz({})).toThrow(/there are no arrays/);
    expect(() => writeNpz({ 'a/b': arrays.x })).toThrow(/called 'a\/b'; expected a name without/);
    expect(() => writeNpz({ x: { shape: [2], data: arrays.x.data } })).toThrow(ShapeError);
    expect(() => writeNpz(arrays, { compress: 3 as never })).toThrow(/compress is 3/);
  });

  const python = spawnSync('python3', ['-c', 'import numpy'], { encoding: 'utf8' });
  if (python.status !== 0) {
    it('python3 lacks numpy: parseNpz stands in for it', () => {
      expect(`${python.error ?? ''}${python.stderr ?? ''}`).toMatch(/ModuleNotFoundError|ENOENT/);
    });
  } else {
    it('writes what NumPy reads', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'invnet-npz-'));
      const reader =
        'import numpy, sys\nfor f in map(numpy.load, sys.argv[1:]): print({k: (f[k].dtype.name, f[k].tolist()) for k in f})';
      try {
        const paths = [true, false].map((compress) => join(folder, `${compress}.npz`));
        for (const [i, path] of paths.entries()) {
          await writeFile(path, writeNpz(arrays, { compress: i === 0 }));
        }
        const { stdout } = spawnSync('python3', ['-c', reader, ...paths], { encoding: 'utf8' });
        const theta = "'theta': ('float64', [[1.0, 2.0], [3.0, 1e+300]])";
        const line = `{${theta}, 'x': ('int16', [-1, 0, 5])}\n`;
        expect(stdout).toBe(line + line);
      } finally {
        await rm(folder, { recursive: true });
      }
    });
  }
});
