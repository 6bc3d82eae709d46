/** The programs of the README are those that run here. */
import { readFile } from 'node:fs/promises';
import { Flow } from '@invnet/flows';
import { initialize } from '@invnet/layers';
import { Glow } from '@invnet/networks';
import { exportOnnx } from '@invnet/onnx';
import { RandomStream, setBackend } from '@invnet/tensor';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

const log = vi.spyOn(console, 'log').mockReturnValue(undefined);

beforeEach(() => setBackend('wasm'));
afterEach(() => vi.unstubAllGlobals());

it('gives the same densities', async () => {
  await requireShown('readme.ts');
  await import('./readme.ts');
  const [found, expected] = log.mock.lastCall as [Float32Array, Float32Array];
  expect(expected).toHaveLength(3);
  expected.forEach((value, i) => {
    expect(Math.abs(found[i]! - value)).toBeLessThan(1e-5 * Math.abs(value));
  });
});

it('samples in a page', async () => {
  await requireShown('readme-page.ts');
  const random = new RandomStream(1);
  const network = new Glow({ channels: 1, hidden: 4, scales: 2, steps: 1, random });
  await initialize(network, random.normal([4, 1, 28, 28]));
  const flow = new Flow({ network });
  const bytes = await exportOnnx(flow, { of: 'sample', shape: [1, 28, 28] });
  vi.stubGlobal('fetch', async () => new Response(bytes));
  await import('./readme-page.ts');
  expect(log.mock.lastCall).toEqual([[16, 1, 28, 28]]);
});

async function requireShown(program: string): Promise<void> {
  const read = (path: string) => readFile(new URL(path, import.meta.url), 'utf8');
  expect(await read('../README.md')).toContain(`\`\`\`ts\n${await read(program)}\`\`\``);
}
