/** Freed blocks of a device, kept by size for the next that needs one. */
import type { Block } from './device.ts';

/**
 * All blocks together have at most twice the bytes that were in use at the peak; beyond that the oldest
 * free ones go. A training step asks for the same sizes again and again, at different times for each, so
 * that once the peak would not do for it. Of several blocks the first made is taken, so that each step
 * gets those of the step before: what a device prepares for the blocks of a call serves again.
 */
export class BlockPool<B extends Block> {
  readonly #create: (quads: number) => B;
  readonly #destroy: (block: B) => void;
  readonly #all = new Set<B>();
  readonly #free = new Map<number, B[]>();
  #made = 0;
  #freeBytes = 0;
  #usedBytes = 0;
  #peakBytes = 0;

  constructor(create: (quads: number, id: number) => B, destroy: (block: B) => void) {
    this.#create = (quads) => {
      const block = create(quads, this.#made++);
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
    const found = this.#first(quads);
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

  #first(quads: number): B | undefined {
    const free = this.#free.get(quads);
    if (!free || free.length === 0) return undefined;
    let first = 0;
    for (let i = 1; i < free.length; i++) if (free[i]!.id < free[first]!.id) first = i;
    return free.splice(first, 1)[0];
  }

  #trim(): void {
    for (const [quads, blocks] of this.#free) {
      while (this.#excess && blocks.length > 0) {
        this.#destroy(blocks.shift()!);
        this.#freeBytes -= 16 * quads;
      }
      if (blocks.length === 0) this.#free.delete(quads);
      if (!this.#excess) return;
    }
  }

  get #excess(): boolean {
    return this.#usedBytes + this.#freeBytes > 2 * this.#peakBytes;
  }
}
