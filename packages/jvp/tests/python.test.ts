/**
 * The Python package (python/): what it is tested on is what is computed here today, and, where `python3` has torch,
 * it computes every row, and its files are loaded here.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { flowCatalogue } from '@invnet/flows';
import { setBackend } from '@invnet/tensor';
import { type HostTensor, modelBytes, modelFromBytes, readSafetensors } from '@invnet/train';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waveletFilters } from '../../layers/src/squeezes/wavelet-filters.ts';
import {
  computedRow,
  namedHere,
  pythonRows,
  recordedRows,
  recordRows,
  slugOf,
} from './python-rows.ts';

const python = fileURLToPath(new URL('../../../python/', import.meta.url));
const models = join(python, 'tests/models');
const read = (path: string) => readSafetensors(readFileSync(path));

describe('what is recorded for Python', () => {
  const present = flowCatalogue.map(({ type }) => type);
  const expected = read(join(models, 'expected.safetensors'));
  beforeAll(() => setBackend('reference', { dtype: 'float64' }));

  it('is one file for each row, and each type of the catalogues is in one', () => {
    const recorded = readdirSync(models).filter((name) => name !== 'expected.safetensors');
    const slugs = recordedRows.map(slugOf);
    expect(new Set(slugs).size).toBe(slugs.length);
    expect(recorded.sort()).toEqual(slugs.map((slug) => `${slug}.safetensors`).sort());
    const configs = recorded.map((name) => read(join(models, name)).metadata['invnet.model']);
    const text = configs.join();
    expect(present.filter((type) => !text.includes(`"$type":"${type}"`))).toEqual([]);
  });

  it('names the types and the wavelets that there are', () => {
    const catalogue = readFileSync(join(python, 'invnet/torch/catalogue.py'), 'utf8');
    const types = [...catalogue.matchAll(/^ {4}"(\w+)":/gm)].map(([, type]) => type);
    expect(types.sort()).toEqual([...present].sort());
    const filters = readFileSync(join(python, 'invnet/torch/wavelet-filters.json'), 'utf8');
    expect(JSON.parse(filters)).toEqual(waveletFilters);
  });

  it.each(recordedRows)('$name is what is computed today', async (row) => {
    const slug = slugOf(row);
    const { bytes, places, arrays } = await computedRow(row);
    const [then, now] = [read(join(models, `${slug}.safetensors`)), readSafetensors(bytes)];
    expect(now.metadata).toEqual(then.metadata);
    expect(JSON.stringify(places)).toBe(expected.metadata[slug]);
    const of = (all: ReadonlyMap<string, HostTensor>) =>
      new Map([...all].filter(([name]) => name.startsWith(`${slug}/`)));
    const renamed = new Map([...arrays].map(([name, array]) => [`${slug}/${name}`, array]));
    requireClose(now.tensors, then.tensors);
    requireClose(renamed, of(expected.tensors));
  });
});

/** Equal but for the rounding of another machine's exponentials. */
function requireClose(
  found: ReadonlyMap<string, HostTensor>,
  expected: ReadonlyMap<string, HostTensor>,
): void {
  expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [name, { shape, data }] of expected) {
    const other = found.get(name)!;
    expect(other.shape, name).toEqual(shape);
    data.forEach((v, i) => {
      expect(Math.abs(other.data[i]! - v), name).toBeLessThan(1e-10 * Math.max(1, Math.abs(v)));
    });
  }
}

const present = spawnSync('python3', ['-c', 'import numpy, torch'], { encoding: 'utf8' });

if (present.status !== 0) {
  it('python3 lacks numpy or torch: the recorded files stand in for the package', () => {
    expect(`${present.error ?? ''}${present.stderr ?? ''}`).toMatch(/ModuleNotFoundError|ENOENT/);
  });
} else {
  describe('the Python package', () => {
    const folder = mkdtempSync(join(tmpdir(), 'invnet-python-'));
    afterAll(() => rmSync(folder, { recursive: true }));
    const pass = (args: readonly string[], variables: Readonly<Record<string, string>> = {}) => {
      const env = { ...process.env, OMP_NUM_THREADS: '1', PYTHONDONTWRITEBYTECODE: '1' };
      const program = ['-W', 'error', '-m', 'unittest', ...args];
      const options = { cwd: join(python, 'tests'), encoding: 'utf8' } as const;
      const { status, stderr } = spawnSync('python3', program, {
        ...options,
        env: { ...env, ...variables },
      });
      expect(status, stderr).toBe(0);
    };

    it('passes its own tests', () => pass(['discover']), 600_000);

    it('computes what all other rows give in float32, and writes files that are loaded here', async () => {
      await setBackend('wasm');
      const written = join(folder, 'written');
      mkdirSync(written);
      const recorded = new Set(recordedRows);
      const others = pythonRows.filter((row) => !recorded.has(row));
      await recordRows(folder, others);
      pass(['test_rows'], { INVNET_MODELS: folder, INVNET_WRITTEN: written });
      for (const slug of others.map(slugOf)) {
        const bytes = readFileSync(join(written, `${slug}.safetensors`));
        const model = modelFromBytes(bytes, { modules: flowCatalogue, named: namedHere });
        const again = readSafetensors(await modelBytes(model));
        model.dispose();
        const before = read(join(folder, `${slug}.safetensors`));
        expect(again.tensors).toEqual(before.tensors);
        expect({ ...again.metadata, row: before.metadata.row }).toEqual(before.metadata);
      }
    }, 600_000);
  });
}
