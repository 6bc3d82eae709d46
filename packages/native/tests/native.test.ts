/** The backend `native`: what runs, what stands in for it, and that its bits are WebAssembly's. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import {
  add,
  BackendError,
  backendInfo,
  memory,
  type NativeKernels,
  ones,
  openNativeKernels,
  power,
  RandomStream,
  setBackend,
  ValueError,
  WasmBackend,
} from '@invnet/tensor';
import { afterAll, describe, expect, it } from 'vitest';
import { nativeKernels } from '../../tensor/tests/addon.ts';
import { createNativeBackend, findNativeKernels } from '../src/index.ts';

/** The addon as it was built, with the best of its builds. */
const built = nativeKernels().slice(0, 1);
const folder = mkdtempSync(join(tmpdir(), 'invnet-native-'));
afterAll(() => rmSync(folder, { recursive: true }));

const printBits = fileURLToPath(new URL('../../tensor/tests/print-bits.ts', import.meta.url));

/** What a process of its own says of itself, and a digest of its results and of 60 steps of Adam. */
function bitsOf(options: object): { readonly bits: string; readonly native?: string } {
  return JSON.parse(
    execFileSync(process.execPath, [printBits, JSON.stringify(options)], { encoding: 'utf8' }),
  );
}

describe.each(built)('native, $build', (found) => {
  it('gives the bits of WebAssembly, for each kind of processor, on 1, 2 and 3 threads', () => {
    const { bits } = bitsOf({});
    for (const build of found.builds) {
      for (const threads of [1, 2, 3]) {
        const addon = { path: found.path, build };
        expect(bitsOf({ addon, threads })).toMatchObject({ bits, native: build });
      }
    }
  });

  it('is found by a path from where the process is, on every thread', async () => {
    const native = openNativeKernels(relative(process.cwd(), found.path), found.build);
    expect(native.path).toBe(found.path);
    using backend = await WasmBackend.create({ native, threads: 2 });
    expect(backend.info().details).toMatchObject({ native: found.build, threads: 2 });
  });

  it('measures a whole number of rounds', () => {
    expect(found.multiplyAdd(100)).toBeGreaterThan(100);
    for (const rounds of [0, -1, 0.5, Infinity, Number.NaN, '1'] as number[]) {
      expect(() => found.multiplyAdd(rounds)).toThrow(ValueError);
    }
  });

  it('says what runs', async () => {
    expect(findNativeKernels()).toMatchObject({ path: found.path, build: found.build });
    await setBackend('native');
    expect(backendInfo().name).toBe('native');
    expect(backendInfo().details).toMatchObject({ native: found.build, threads: 1 });
  });

  it('computes where its memory has grown, and powers, which are WebAssembly', async () => {
    for (const threads of [1, 2]) {
      await setBackend('native', { threads });
      const before = Number(backendInfo().details.memoryBytes);
      const large = ones([8, 1024, 1024]);
      using twice = add(large, large);
      using squared = power(twice, 2);
      expect(Number(backendInfo().details.memoryBytes)).toBeGreaterThan(before);
      expect(squared.dataSync().every((value) => value === 4)).toBe(true);
      large.dispose();
    }
    expect(memory().liveBytes).toBe(0);
  });

  it('runs in several backends at once', async () => {
    const backends = await Promise.all(
      [1, 2, 1].map((threads) => createNativeBackend({ threads })),
    );
    const tensors = [];
    for (const [i, backend] of backends.entries()) {
      await setBackend(backend);
      tensors.push(new RandomStream(i).normal([300, 70]));
    }
    const sums = tensors.map((t) => add(t, t).dataSync());
    for (const [i, t] of tensors.entries()) {
      expect(sums[i]).toEqual(t.dataSync().map((value) => 2 * value));
    }
    for (const backend of backends) backend.dispose();
  });
});

describe('where there are no native kernels', () => {
  /** What a program prints that asks for the backend with an addon that is not there. */
  function withoutAddon(program: string) {
    const entry = new URL('../src/index.ts', import.meta.url).href;
    const text = `
      import fs from 'node:fs';
      // Neither built nor installed.
      Object.defineProperty(process, 'platform', { value: 'other' });
      fs.existsSync = () => false;
      (await import('node:module')).syncBuiltinESMExports();
      const { backendInfo, setBackend, ones, add } = await import(${JSON.stringify(
        new URL('../../tensor/src/index.ts', import.meta.url).href,
      )});
      await import(${JSON.stringify(entry)});
      ${program}`;
    return spawnSync(process.execPath, ['--input-type=module-typescript', '-e', text], {
      encoding: 'utf8',
      timeout: 60_000,
    });
  }

  it('it is wasm, which says so, and why', () => {
    const { stdout, stderr, status } = withoutAddon(`
      await setBackend('native');
      console.log(add(ones([2]), ones([2])).dataSync().join(), JSON.stringify(backendInfo()));`);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^2,2 /);
    const info = JSON.parse(stdout.slice(4));
    expect(info.name).toBe('wasm');
    expect(info.details.fallbackReason).toMatch(/@invnet\/native-\S+ is not installed/);
    expect(stderr).toMatch(/Warning: native: .* It runs on wasm\./);
  });
});

describe.each(built)('an addon that is none', (found) => {
  const refused = (path: string, message: RegExp, build?: string) => {
    expect(() => openNativeKernels(path, build)).toThrow(BackendError);
    expect(() => openNativeKernels(path, build)).toThrow(message);
  };

  /** A file as it would have been built, so far as its manifest says. */
  function file(name: string, content: string | Buffer, manifest: object = {}): string {
    const path = join(folder, name);
    writeFileSync(path, content);
    const sha256 = createHash('sha256').update(content).digest('hex');
    const { fingerprint } = JSON.parse(readFileSync(`${found.path}.json`, 'utf8'));
    writeFileSync(`${path}.json`, JSON.stringify({ fingerprint, sha256, ...manifest }));
    return path;
  }

  it('is refused: no file, no addon, half of one, and what has no manifest', () => {
    refused(join(folder, 'none.node'), /cannot be opened/);
    refused(file('text.node', 'no addon'), /cannot be opened/);
    const whole = readFileSync(found.path);
    const { sha256 } = JSON.parse(readFileSync(`${found.path}.json`, 'utf8'));
    refused(file('half.node', whole.subarray(0, 5000), { sha256 }), /is damaged/);
    writeFileSync(join(folder, 'bare.node'), whole);
    refused(join(folder, 'bare.node'), /cannot be opened/);
  });

  it('is refused of another version, and of another processor', () => {
    refused(
      file('older.node', 'x', { fingerprint: 'older' }),
      /another version of @invnet\/tensor/,
    );
    refused(file('no.cjs', 'exports.supported = () => [];'), /has no build that runs on this/);
    refused(found.path, /no build 'sparc'/, 'sparc');
  });

  it('is refused in place of one', async () => {
    for (const native of [1, 'native', null, {}] as unknown[] as NativeKernels[]) {
      await expect(setBackend('wasm', { native })).rejects.toThrow(ValueError);
    }
    const options = { native: found, relaxedSimd: false };
    expect(() => new WasmBackend(options)).toThrow(/relaxedSimd is false/);
  });

  it('does not run with arguments that are none', () => {
    const linear = new WebAssembly.Memory({ initial: 1 });
    const kernels = found.bind(new Uint8Array(linear.buffer), 0);
    expect(() => kernels.fill?.(0, 1, Number('x'))).not.toThrow();
    // @ts-expect-error: one argument is missing
    expect(() => kernels.fill?.(0, 1)).toThrow(/another number of arguments/);
    // @ts-expect-error: a text is no number
    expect(() => kernels.fill?.(0, 1, 'one')).toThrow(/expected numbers/);
  });
});
