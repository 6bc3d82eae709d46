/**
 * An allocator over WebAssembly's linear memory: best fit by size classes, constant time in
 * practice, neighbours joined on release, the memory grown when nothing fits.
 *
 * What it knows lies on the JavaScript side, in one object per block, so the linear memory holds
 * numbers only and a kernel that runs astray cannot break the lists. Blocks are multiples of 64
 * bytes at multiples of 64: kernels may touch up to the end of the last whole vector.
 *
 * Left out: counting what was asked for (the backend's MemoryAccount), and giving memory back to
 * the system, which WebAssembly cannot.
 */
import { noRoom, requireRoom } from '../memory.ts';

const PAGE = 65536;
const UNIT = 64;
/**
 * Kernels may read past the last block, so these bytes stay out of use: up to a row of a tile where B is read
 * where it lies, which is 124 bytes of AVX-512's, and up to 44 bytes where Winograd's method reads images so.
 */
const GUARD = 128;
/** 2³² bytes: all that a 32-bit pointer reaches. */
const MAX_MEMORY_BYTES = 65536 * PAGE;

/** A stretch of linear memory, in use or not. */
export interface Block {
  readonly address: number;
  readonly bytes: number;
}

class Node implements Block {
  readonly address: number;
  bytes: number;
  free = true;
  /** Neighbours in memory. */
  before: Node | undefined;
  after: Node | undefined;
  /** Neighbours in the list of free blocks of one size class. */
  previous: Node | undefined;
  next: Node | undefined;

  constructor(address: number, bytes: number) {
    this.address = address;
    this.bytes = bytes;
  }
}

/** Classes are exact below 32 units, then four to each power of two. */
function classOf(bytes: number): number {
  const units = bytes / UNIT;
  if (units < 32) return units;
  const exponent = 31 - Math.clz32(units);
  return 32 + (exponent - 5) * 4 + ((units >>> (exponent - 2)) & 3);
}

const CLASSES = classOf(MAX_MEMORY_BYTES - UNIT) + 1;

/** What `Allocator.statistics` tells, for tests and reports. */
export interface AllocatorStatistics {
  /** Bytes of linear memory, used or not. */
  readonly capacity: number;
  readonly usedBlocks: number;
  readonly freeBlocks: number;
  readonly largestFree: number;
}

export class Allocator {
  readonly #memory: WebAssembly.Memory;
  readonly #limit: number;
  readonly #lists: (Node | undefined)[] = new Array<Node | undefined>(CLASSES).fill(undefined);
  readonly #filled = new Int32Array(Math.ceil(CLASSES / 32));
  #last: Node | undefined;
  #end: number;
  #used = 0;

  /**
   * @param start first byte to hand out
   * @param limit bytes of linear memory never to be exceeded, at most 4 GiB
   */
  constructor(memory: WebAssembly.Memory, start: number, limit = MAX_MEMORY_BYTES) {
    this.#memory = memory;
    this.#limit = Math.min(limit, MAX_MEMORY_BYTES);
    this.#end = Math.ceil(start / UNIT) * UNIT;
    this.#extend(memory.buffer.byteLength - GUARD);
  }

  get limit(): number {
    return this.#limit;
  }

  /**
   * A block of so many bytes, and room behind them for `overrun` more.
   *
   * @throws OutOfMemoryError, having changed nothing.
   */
  allocate(bytes: number, overrun = 0): Block {
    // Size classes hold for what a 32-bit pointer reaches, and wrap around beyond.
    requireRoom('wasm', bytes, this.#used, this.#limit);
    const size = Math.max(UNIT, Math.ceil((bytes + overrun) / UNIT) * UNIT);
    let node = this.#find(size);
    if (node === undefined) {
      this.#grow(size, bytes);
      node = this.#find(size);
      if (node === undefined) throw this.#full(bytes);
    }
    this.#unlink(node);
    if (node.bytes > size) this.#split(node, size);
    node.free = false;
    this.#used += size;
    return node;
  }

  free(block: Block): void {
    if (!(block instanceof Node) || block.free) {
      throw new Error(
        `wasm: the block at ${block.address} was freed twice or is not of this allocator.`,
      );
    }
    this.#used -= block.bytes;
    this.#release(block);
  }

  /** Takes a block into the lists, joined with free neighbours. */
  #release(block: Node): void {
    let node = block;
    node.free = true;
    if (node.after?.free === true) {
      this.#unlink(node.after);
      this.#join(node, node.after);
    }
    if (node.before?.free === true) {
      const before = node.before;
      this.#unlink(before);
      this.#join(before, node);
      node = before;
    }
    this.#link(node);
  }

  statistics(): AllocatorStatistics {
    let usedBlocks = 0;
    let freeBlocks = 0;
    let largestFree = 0;
    for (let node = this.#last; node !== undefined; node = node.before) {
      if (node.free) {
        freeBlocks += 1;
        largestFree = Math.max(largestFree, node.bytes);
      } else {
        usedBlocks += 1;
      }
    }
    return { capacity: this.#memory.buffer.byteLength, usedBlocks, freeBlocks, largestFree };
  }

  /** A free block of at least `size` bytes: from its own class if one fits, else from a larger. */
  #find(size: number): Node | undefined {
    const own = classOf(size);
    for (let node = this.#lists[own]; node !== undefined; node = node.next) {
      if (node.bytes >= size) return node;
    }
    let word = (own + 1) >> 5;
    let bits =
      word < this.#filled.length ? (this.#filled[word] as number) & (-1 << ((own + 1) & 31)) : 0;
    for (;;) {
      if (bits !== 0) return this.#lists[word * 32 + 31 - Math.clz32(bits & -bits)];
      word += 1;
      if (word >= this.#filled.length) return undefined;
      bits = this.#filled[word] as number;
    }
  }

  #link(node: Node): void {
    const c = classOf(node.bytes);
    const head = this.#lists[c];
    node.previous = undefined;
    node.next = head;
    if (head !== undefined) head.previous = node;
    this.#lists[c] = node;
    this.#filled[c >> 5] = (this.#filled[c >> 5] as number) | (1 << (c & 31));
  }

  #unlink(node: Node): void {
    if (node.next !== undefined) node.next.previous = node.previous;
    if (node.previous !== undefined) {
      node.previous.next = node.next;
    } else {
      const c = classOf(node.bytes);
      this.#lists[c] = node.next;
      if (node.next === undefined)
        this.#filled[c >> 5] = (this.#filled[c >> 5] as number) & ~(1 << (c & 31));
    }
    node.previous = undefined;
    node.next = undefined;
  }

  #split(node: Node, size: number): void {
    const rest = new Node(node.address + size, node.bytes - size);
    node.bytes = size;
    rest.before = node;
    rest.after = node.after;
    if (node.after !== undefined) node.after.before = rest;
    else this.#last = rest;
    node.after = rest;
    this.#link(rest);
  }

  #join(first: Node, second: Node): void {
    first.bytes += second.bytes;
    first.after = second.after;
    if (second.after !== undefined) second.after.before = first;
    else this.#last = first;
  }

  /** Takes in new memory up to `end`. */
  #extend(end: number): void {
    const usable = Math.floor(end / UNIT) * UNIT;
    if (usable <= this.#end) return;
    const node = new Node(this.#end, usable - this.#end);
    this.#end = usable;
    node.free = false;
    node.before = this.#last;
    if (this.#last !== undefined) this.#last.after = node;
    this.#last = node;
    this.#release(node);
  }

  /** Grows the memory so that `size` bytes fit at its end; by a quarter where it can, to grow seldom. */
  #grow(size: number, asked: number): void {
    const atEnd = this.#last?.free === true ? this.#last.bytes : 0;
    const capacity = this.#memory.buffer.byteLength;
    const needed = Math.ceil((size - atEnd) / PAGE);
    const possible = Math.floor((this.#limit - capacity) / PAGE);
    const generous = Math.min(possible, Math.max(needed, Math.ceil(capacity / 4 / PAGE)));
    for (const pages of generous > needed ? [generous, needed] : [needed]) {
      if (pages > possible) break;
      try {
        this.#memory.grow(pages);
        this.#extend(this.#memory.buffer.byteLength - GUARD);
        return;
      } catch (error) {
        // The engine has less than the limit says: try what is needed, then give up below.
        if (!(error instanceof RangeError)) throw error;
      }
    }
    throw this.#full(asked);
  }

  #full(asked: number): Error {
    return noRoom('wasm', asked, this.#used, this.#limit);
  }
}
