import { expect, test } from 'vitest';
import {
  affine,
  BackendError,
  memory,
  ReferenceBackend,
  setBackend,
  tensor,
  WasmBackend,
  withNumbers,
  zeros,
} from '../src/index.ts';

test.each([
  ['reference', async () => new ReferenceBackend()],
  ['wasm', async () => new WasmBackend()],
  ['wasm, 2 threads', () => WasmBackend.create({ threads: 2 })],
])('withNumbers gives the numbers where they lie, after what is under way: %s', async (_, make) => {
  using backend = await make();
  await setBackend(backend);
  using x = tensor([1, 2, 3]);
  using y = affine(x, 2);
  const { liveBytes } = memory();
  const sum = withNumbers(y, (numbers) => {
    numbers[0] = 10;
    let total = 0;
    for (const number of numbers) total += number;
    return total;
  });
  expect(sum).toBe(20);
  expect([...y.dataSync()]).toEqual([10, 4, 6]);
  expect([...x.dataSync()]).toEqual([1, 2, 3]);
  expect(memory().liveBytes).toBe(liveBytes);
});

test('withNumbers says when what was written may be lost, or cannot be written', async () => {
  using backend = new WasmBackend();
  await setBackend(backend);
  using x = tensor([1, 2, 3]);
  // Memory that one thread has for itself moves when it grows.
  expect(() => withNumbers(x, () => zeros([2 ** 24]).dispose())).toThrow(BackendError);
  Object.defineProperty(backend, 'view', { value: undefined });
  expect(() => withNumbers(x, () => 0)).toThrow(/expected one on wasm, native or reference/);
});
