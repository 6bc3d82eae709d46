/** Wide vectors change no bit of a result. They hold for a process, so each way has one of its own. */
import { execFile } from 'node:child_process';
import process from 'node:process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { setBackend, ValueError, type WasmOptions } from '../src/index.ts';

const run = promisify(execFile);
const program = new URL('print-bits.ts', import.meta.url).pathname;

async function bitsOf(options: WasmOptions): Promise<Record<string, unknown>> {
  // All is compiled for speed at once, which otherwise comes with time.
  const flags = ['--no-liftoff', '--no-wasm-lazy-compilation'];
  const args = [...flags, program, JSON.stringify(options)];
  const { stdout, stderr } = await run(process.execPath, args);
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

it('wide vectors give the same bits as narrow ones, on one thread and three', async () => {
  const narrow = await bitsOf({});
  const wide = await bitsOf({ wide: true });
  const threads = await bitsOf({ wide: true, threads: 3 });
  expect(narrow.wide).toBe(false);
  // Where the processor or V8 has none, the backend says so, and runs as it did.
  expect(threads.wide).toBe(wide.wide);
  expect([wide.bits, threads.bits]).toEqual([narrow.bits, narrow.bits]);
});

it('wide vectors give the same bits as narrow ones without relaxed SIMD', async () => {
  const narrow = await bitsOf({ relaxedSimd: false });
  const wide = await bitsOf({ relaxedSimd: false, wide: true });
  expect(wide.bits).toBe(narrow.bits);
});

it('wide vectors have register tiles twice as wide, which no other backend has', async () => {
  const source = new URL('../src/wasm/kernels.ts', import.meta.url).href;
  const text = `
    const { loadKernels } = await import(${JSON.stringify(source)});
    const tile = (relaxedSimd, wide) => {
      const { kernels, wide: had } = loadKernels(relaxedSimd, false, wide);
      return [had, kernels.columnsPerTile()];
    };
    console.log(JSON.stringify([tile(true, false), tile(true, true), tile(false, true)]));`;
  const { stdout } = await run(process.execPath, ['--input-type=module-typescript', '-e', text]);
  const [narrow, wide, baseline] = JSON.parse(stdout);
  expect(narrow).toEqual([false, 8]);
  expect(wide[1]).toBe(wide[0] ? 16 : 8);
  expect(baseline).toEqual([wide[0], 8]);
});

it('a process that may start no other has narrow vectors', async () => {
  const source = new URL('../src/index.ts', import.meta.url).href;
  const text = `
    const { backendInfo, setBackend } = await import(${JSON.stringify(source)});
    await setBackend('wasm', { wide: true });
    console.log(backendInfo().details.wide);`;
  const flags = ['--permission', '--allow-fs-read=*', '--input-type=module-typescript'];
  const { stdout } = await run(process.execPath, [...flags, '-e', text]);
  expect(stdout).toBe('false\n');
});

it('wide is true or false', async () => {
  for (const wide of [1, 'yes', null] as unknown[] as boolean[]) {
    await expect(setBackend('wasm', { wide })).rejects.toThrow(ValueError);
  }
});
