/** The allocator of the wasm backend: properties over random sequences of requests and releases. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OutOfMemoryError } from '../src/errors.ts';
import { Allocator, type Block } from '../src/wasm/allocator.ts';

const PAGE = 65536;
const START = 1000;
const memory = (initial = 1, maximum = 1024) => new WebAssembly.Memory({ initial, maximum });

const steps = fc.array(
  fc.record({
    /** Of a free: which of the live blocks. */
    which: fc.nat(),
    frees: fc.boolean(),
    bytes: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 200_000 })),
  }),
  { minLength: 1, maxLength: 300 },
);

describe('Allocator', () => {
  it('hands out aligned blocks that never overlap, and gets all of them back as one', () => {
    fc.assert(
      fc.property(steps, (sequence) => {
        const linear = memory();
        const allocator = new Allocator(linear, START);
        const live: Block[] = [];
        for (const { which, frees, bytes } of sequence) {
          if (frees && live.length > 0) {
            allocator.free(live.splice(which % live.length, 1)[0] as Block);
            continue;
          }
          const block = allocator.allocate(bytes);
          expect(block.address % 64).toBe(0);
          expect(block.address).toBeGreaterThanOrEqual(START);
          expect(block.bytes).toBeGreaterThanOrEqual(bytes);
          expect(block.address + block.bytes).toBeLessThan(linear.buffer.byteLength);
          live.push(block);
          const sorted = live.toSorted((a, b) => a.address - b.address);
          for (const [i, next] of sorted.slice(1).entries()) {
            const before = sorted[i] as Block;
            expect(before.address + before.bytes).toBeLessThanOrEqual(next.address);
          }
          expect(allocator.statistics().usedBlocks).toBe(live.length);
        }
        for (const block of live) allocator.free(block);
        const end = allocator.statistics();
        expect(end).toMatchObject({ usedBlocks: 0, freeBlocks: 1 });
        expect(end.largestFree).toBeGreaterThan(end.capacity - START - 256);
      }),
      { numRuns: 60, seed: 20_261_124 },
    );
  });

  it('reuses what was freed', () => {
    const linear = memory();
    const allocator = new Allocator(linear, START);
    const kept = allocator.allocate(100);
    const first = allocator.allocate(5000);
    allocator.allocate(100);
    allocator.free(first);
    expect(allocator.allocate(5000).address).toBe(first.address);
    for (let i = 0; i < 10_000; i++) allocator.free(allocator.allocate(1 + ((i * 7919) % 40_000)));
    expect(linear.buffer.byteLength).toBe(PAGE);
    allocator.free(kept);
  });

  it('joins neighbours in either order of release', () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [0, 2, 1],
      [1, 0, 2],
    ]) {
      const allocator = new Allocator(memory(), START);
      const blocks = [0, 1, 2].map(() => allocator.allocate(6400));
      const wall = allocator.allocate(64);
      for (const i of order) allocator.free(blocks[i] as Block);
      expect(allocator.allocate(3 * 6400).address).toBe(blocks[0]?.address);
      allocator.free(wall);
    }
  });

  it('grows by what is missing, and by more where it may', () => {
    const linear = memory();
    const allocator = new Allocator(linear, START);
    const large = allocator.allocate(10 * PAGE);
    expect(linear.buffer.byteLength).toBe(11 * PAGE);
    allocator.allocate(PAGE);
    expect(linear.buffer.byteLength).toBe((11 + 3) * PAGE);
    allocator.free(large);
  });

  it('stops at its limit with an error that says so, and works on', () => {
    const allocator = new Allocator(memory(), START, 20 * PAGE);
    const block = allocator.allocate(15 * PAGE);
    expect(() => allocator.allocate(6 * PAGE)).toThrow(OutOfMemoryError);
    expect(() => allocator.allocate(6 * PAGE)).toThrow(
      `cannot allocate ${6 * PAGE} bytes: ${15 * PAGE} bytes are live, and the limit is ${20 * PAGE} bytes`,
    );
    expect(allocator.allocate(4 * PAGE).address).toBeGreaterThan(block.address);
  });

  it('takes what the engine refuses to grow for the limit', () => {
    const allocator = new Allocator(memory(1, 8), START);
    expect(() => allocator.allocate(9 * PAGE)).toThrow(OutOfMemoryError);
    expect(allocator.allocate(7 * PAGE).bytes).toBe(7 * PAGE);
  });

  it('refuses to free twice, or what is not its own', () => {
    const allocator = new Allocator(memory(), START);
    const block = allocator.allocate(64);
    allocator.free(block);
    expect(() => allocator.free(block)).toThrow(/freed twice/);
    expect(() => allocator.free({ address: 0, bytes: 64 })).toThrow(/not of this allocator/);
  });

  it('reaches addresses beyond 2 GiB', () => {
    const linear = memory(1, 65536);
    const allocator = new Allocator(linear, START);
    allocator.allocate(2 ** 31);
    const high = allocator.allocate(1 << 20);
    expect(high.address).toBeGreaterThan(2 ** 31);
    new Float32Array(linear.buffer, high.address, 4).fill(1);
    expect(() => allocator.allocate(2 ** 31)).toThrow(OutOfMemoryError);
    allocator.free(high);
  });
});
