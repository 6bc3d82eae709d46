/** Freed blocks of a device, kept by size for the next that needs one. */
import type { Block } from './device.ts';

/**
 * Holds at most as many bytes as were in use at the peak; beyond that the oldest go. A training
 * step asks for the same sizes again and again, so sizes are matched exactly.
 */
export class BlockPool<B extends Block> {
  readonly #create: (quads: number) => B;
  readonly #destroy: (block: B) => void;
  readonly #all = new Set<B>();
  readonly #free = new Map<number, B[]>();
  #freeBytes = 0;
  #usedBytes = 0;
  #peakBytes = 0;

  constructor(create: (quads: number) => B, destroy: (block: B) => void) {
    this.#create = (quads) => {
      const block = create(quads);
      this.#all.add(block);
      return block;
    };
    this.#destroy = (block) => {
      this.#all.delete(block);
      destroy(block);
    };
  }

  get freeBytes(): number {
    return this.#freeBytes;
  }

  take(quads: number): B {
    const found = this.#free.get(quads)?.pop();
    const block = found ?? this.#create(quads);
    if (found) this.#freeBytes -= 16 * quads;
    this.#usedBytes += 16 * quads;
    this.#peakBytes = Math.max(this.#peakBytes, this.#usedBytes);
    return block;
  }

  give(block: B): void {
    const { quads } = block;
    this.#usedBytes -= 16 * quads;
    this.#freeBytes += 16 * quads;
    const same = this.#free.get(quads);
    if (same) same.push(block);
    else this.#free.set(quads, [block]);
    this.#trim();
  }

  /** Destroys all blocks, also those in use. */
  destroy(): void {
    for (const block of this.#all) this.#destroy(block);
    this.#free.clear();
    this.#freeBytes = 0;
  }

  #trim(): void {
    for (const [quads, blocks] of this.#free) {
      while (this.#freeBytes > this.#peakBytes && blocks.length > 0) {
        this.#destroy(blocks.shift()!);
        this.#freeBytes -= 16 * quads;
      }
      if (blocks.length === 0) this.#free.delete(quads);
      if (this.#freeBytes <= this.#peakBytes) return;
    }
  }
}
