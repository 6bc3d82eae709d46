/**
 * Sums over all ranks whose bits depend on nothing but the numbers. Those of `MPI_Allreduce` depend on the order
 * in which a library adds, which it chooses by sizes, machines and versions. Here each rank adds up one part of the
 * numbers, in double precision and in the order of the ranks, after all have sent it theirs; then all get all parts.
 * The bytes that go over the network are those of the best allreduce, 2(n − 1)/n of the array for each rank.
 *
 * Few numbers go in one message instead: every rank gets those of all, and adds up itself, to the same bits.
 */
import type { NumericArray } from '@invnet/tensor';
import type { PendingSum } from '@invnet/train';
import type { Handle, MpiLibrary, Parts, Request } from './library.ts';

/** The most bytes of all ranks together that go in one message. */
const smallBytes = 16 * 1024;
/** Longer arrays are summed in pieces: sizes are 32-bit integers in MPI. */
const mostBytes = 2 ** 29;
/** So many numbers are added up at a time, whose sums stay in the cache. */
const blockLength = 1024;

/** Part of a sum that is under way; `begin` starts its second half, which large ones have. */
interface Piece {
  readonly first: Request;
  readonly begin: () => Request | undefined;
  second?: Request | undefined;
  begun: boolean;
}

/** All sums of a communicator. */
export class Sums {
  readonly #mpi: MpiLibrary;
  readonly #rank: number;
  readonly #size: number;
  /** Ranks start the calls on each of these in one order: that of the sums. */
  readonly #firsts: Handle;
  readonly #seconds: Handle;
  /** Pieces that MPI works on: their arrays must not be collected, even if nobody waits for them. */
  readonly #active = new Set<Piece>();
  /** Large pieces whose second half was not started, in order. */
  readonly #waiting: Piece[] = [];

  constructor(mpi: MpiLibrary, rank: number, size: number) {
    this.#mpi = mpi;
    this.#rank = rank;
    this.#size = size;
    this.#firsts = mpi.duplicate(mpi.world);
    this.#seconds = mpi.duplicate(mpi.world);
  }

  start(numbers: NumericArray): PendingSum {
    const step = mostBytes / numbers.BYTES_PER_ELEMENT;
    const pieces: Piece[] = [];
    for (let at = 0; at < numbers.length; at += step) {
      const part = numbers.subarray(at, at + step);
      const small = part.byteLength * this.#size <= smallBytes;
      const piece = small ? this.#startSmall(part) : this.#startLarge(part);
      this.#active.add(piece);
      pieces.push(piece);
    }
    return {
      test: () => pieces.every((piece) => this.#advance(piece, (r) => this.#mpi.test(r))),
      wait: () => {
        for (const piece of pieces) {
          this.#advance(piece, (request) => {
            this.#mpi.wait(request);
            return true;
          });
        }
      },
    };
  }

  #startSmall(numbers: NumericArray): Piece {
    const { length } = numbers;
    const all = arrayLike(numbers, length * this.#size);
    const first = this.#mpi.startAllgather(numbers, all, this.#firsts);
    const begin = () => {
      addUp(all, length, numbers);
      return undefined;
    };
    return { first, begin, begun: false };
  }

  #startLarge(numbers: NumericArray): Piece {
    const size = this.#size;
    const { BYTES_PER_ELEMENT: unit, length } = numbers;
    const share = Math.ceil(length / size);
    const bounds = Array.from({ length: size + 1 }, (_, r) => Math.min(length, r * share));
    const shares: Parts = {
      counts: Int32Array.from({ length: size }, (_, r) => unit * (bounds[r + 1]! - bounds[r]!)),
      places: Int32Array.from({ length: size }, (_, r) => unit * bounds[r]!),
    };
    const mine = numbers.subarray(bounds[this.#rank], bounds[this.#rank + 1]);
    const from: Parts = {
      counts: new Int32Array(size).fill(mine.byteLength),
      places: Int32Array.from({ length: size }, (_, r) => r * mine.byteLength),
    };
    const received = arrayLike(numbers, mine.length * size);
    const first = this.#mpi.startAlltoallv(numbers, shares, received, from, this.#firsts);
    const begin = () => {
      addUp(received, mine.length, mine);
      return this.#mpi.startAllgatherv(numbers, shares, this.#seconds);
    };
    const piece = { first, begin, begun: false };
    this.#waiting.push(piece);
    return piece;
  }

  /** Goes on with a piece as far as `done` says that its calls are; is it complete? */
  #advance(piece: Piece, done: (request: Request) => boolean): boolean {
    if (!this.#active.has(piece)) return true;
    const before = this.#waiting.indexOf(piece);
    // Second halves start in order, so those of earlier pieces come first.
    const due = before < 0 ? [piece] : this.#waiting.slice(0, before + 1);
    for (const each of due) {
      if (each.begun) continue;
      if (!done(each.first)) return false;
      each.second = each.begin();
      each.begun = true;
      const at = this.#waiting.indexOf(each);
      if (at >= 0) this.#waiting.splice(at, 1);
    }
    if (piece.second !== undefined && !done(piece.second)) return false;
    this.#active.delete(piece);
    return true;
  }
}

/** Adds up arrays that lie behind each other, in double precision; `total` may be anything before. */
function addUp(arrays: NumericArray, length: number, total: NumericArray): void {
  const sums = new Float64Array(Math.min(length, blockLength));
  for (let at = 0; at < length; at += blockLength) {
    const count = Math.min(blockLength, length - at);
    sums.fill(0);
    for (let first = at; first < arrays.length; first += length) {
      for (let i = 0; i < count; i++) sums[i]! += arrays[first + i]!;
    }
    for (let i = 0; i < count; i++) total[at + i] = sums[i]!;
  }
}

function arrayLike(numbers: NumericArray, length: number): NumericArray {
  return numbers instanceof Float32Array ? new Float32Array(length) : new Float64Array(length);
}
