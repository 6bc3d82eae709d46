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
