/** A communicator over an MPI library: what `@invnet/train` asks of several processes, in MPI's calls. */
import { writeSync } from 'node:fs';
import type { Json } from '@invnet/layers';
import { type NumericArray, requireBytes } from '@invnet/tensor';
import {
  type Communicator,
  CommunicatorError,
  DataParallel,
  type Exchange,
  type PendingSum,
  requireExchange,
  requireJson,
  requireNumbers,
  type SharedSetup,
  type SharedTraining,
} from '@invnet/train';
import type { Handle, MpiLibrary } from './library.ts';
import { Sums } from './sums.ts';

/** What ranks may be doing when they meet. */
const calls = ['barrier', 'broadcast', 'close', 'gather', 'sum'] as const;
type Call = (typeof calls)[number];

/** Numbers of a meeting: which call, how large, and what goes with it. */
const meetingLength = 8;
const payloadLength = meetingLength - 2;

/** The most bytes in one call: sizes are 32-bit integers in MPI. */
const mostBytes = 2 ** 30;

/**
 * The processes of one `mpirun`. Made by `openMpi`.
 *
 * Before each collective call ranks meet: they tell each other in one small message which call they make, so that
 * ranks which got out of step are told so, rather than mixing up numbers or waiting for ever.
 */
export class MpiCommunicator implements Communicator {
  readonly rank: number;
  readonly size: number;
  /** The library, for messages: its path and whose binary interface it has. */
  readonly library: string;
  readonly #mpi: MpiLibrary;
  /** Calls of this class, apart from those of sums, which may be under way meanwhile. */
  readonly #meetings: Handle;
  readonly #messages: Handle;
  readonly #sums: Sums;
  readonly #mine = new Float64Array(meetingLength);
  readonly #all: Float64Array;
  #closed = false;
  #failure: string | undefined;

  constructor(mpi: MpiLibrary) {
    this.#mpi = mpi;
    this.library = `${mpi.kind} (${mpi.path})`;
    this.rank = mpi.rank(mpi.world);
    this.size = mpi.size(mpi.world);
    this.#meetings = mpi.duplicate(mpi.world);
    this.#messages = mpi.duplicate(mpi.world);
    this.#sums = new Sums(mpi, this.rank, this.size);
    this.#all = new Float64Array(meetingLength * this.size);
    this.#watchTheEnd();
  }

  sum(numbers: NumericArray): void {
    requireNumbers('sum', numbers);
    // Few numbers go with the meeting.
    if (numbers.length <= payloadLength) {
      const all = this.#meet('sum', numbers.length, numbers);
      for (let i = 0; i < numbers.length; i++) {
        let total = 0;
        for (let at = 2 + i; at < all.length; at += meetingLength) total += all[at]!;
        numbers[i] = total;
      }
      return;
    }
    this.#meet('sum', numbers.byteLength);
    this.#sums.start(numbers).wait();
  }

  startSum(numbers: NumericArray): PendingSum {
    this.#requireOpen();
    return this.#sums.start(requireNumbers('startSum', numbers));
  }

  exchange(messages: Exchange): void {
    this.#requireOpen();
    const { send, receive } = requireExchange(messages, this.size);
    const lists = [send, receive].map((list) =>
      list.map(({ rank, numbers }) => ({ rank, memory: numbers })),
    );
    const counts = this.#mpi.exchange(lists[0]!, lists[1]!, this.#messages);
    counts.forEach((bytes, i) => {
      const { rank, numbers } = receive[i]!;
      if (bytes === numbers.byteLength) return;
      throw new CommunicatorError(
        `exchange: rank ${rank} sent ${bytes} bytes to rank ${this.rank}; expected ${numbers.byteLength}.`,
      );
    });
  }

  broadcast(bytes: Uint8Array): Uint8Array {
    requireBytes('broadcast', 'bytes', bytes);
    const length = this.#meet('broadcast', 0, [bytes.length])[2]!;
    const received = this.rank === 0 ? bytes : new Uint8Array(length);
    for (let at = 0; at < length; at += mostBytes) {
      this.#mpi.broadcast(received.subarray(at, at + mostBytes), this.#meetings);
    }
    return received;
  }

  gather<T extends Json>(value: T): T[] {
    const bytes = new TextEncoder().encode(requireJson(value));
    const met = this.#meet('gather', 0, [bytes.length]);
    const counts = Int32Array.from({ length: this.size }, (_, r) => met[meetingLength * r + 2]!);
    const places = new Int32Array(this.size);
    for (let r = 1; r < this.size; r++) places[r] = places[r - 1]! + counts[r - 1]!;
    const all = new Uint8Array(places.at(-1)! + counts.at(-1)!);
    this.#mpi.allgatherv(bytes, all, { counts, places }, this.#meetings);
    const text = new TextDecoder();
    return Array.from({ length: this.size }, (_, r) =>
      JSON.parse(text.decode(all.subarray(places[r]!, places[r]! + counts[r]!))),
    );
  }

  barrier(): void {
    this.#meet('barrier', 0);
  }

  async share(setup: SharedSetup): Promise<SharedTraining | undefined> {
    return this.size === 1 ? undefined : DataParallel.start(this, setup);
  }

  abort(reason: string): never {
    this.#say(reason);
    this.#closed = true;
    this.#mpi.abort(1);
    // What MPI leaves alive.
    process.exit(1);
  }

  close(): void {
    this.#meet('close', 0);
    this.#closed = true;
    this.#mpi.finalize();
  }

  #requireOpen(): void {
    if (!this.#closed) return;
    throw new CommunicatorError('The communicator was closed; expected all calls before close().');
  }

  /** Waits for all ranks; gives what each brought, one behind the other. @throws CommunicatorError */
  #meet(call: Call, size: number, payload: ArrayLike<number> = []): Float64Array {
    this.#requireOpen();
    const mine = this.#mine;
    mine.fill(0);
    mine.set([calls.indexOf(call), size]);
    mine.set(payload, 2);
    const all = this.#all;
    this.#mpi.allgather(mine, all, this.#meetings);
    for (let r = 0; r < this.size; r++) {
      const at = meetingLength * r;
      if (all[at] === mine[0] && all[at + 1] === mine[1]) continue;
      const said = [0, at].map((from) => `${calls[all[from]!]}() of size ${all[from + 1]}`);
      const who = all[0] === mine[0] && all[1] === mine[1] ? r : this.rank;
      const other = who === this.rank ? `${call}() of size ${size}` : said[1];
      throw new CommunicatorError(
        `The ranks are out of step: rank 0 calls ${said[0]}, and rank ${who} calls ${other}. Expected all ` +
          'ranks to make the same calls in the same order.',
      );
    }
    return all;
  }

  /** A rank that ends early must not leave the others waiting, nor pass for a success. */
  #watchTheEnd(): void {
    process.on('uncaughtExceptionMonitor', (error) => {
      this.#failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
    });
    process.on('exit', (code) => {
      if (this.#closed) return;
      this.#say(
        this.#failure ??
          `ended with exit code ${code} before it called close(), and so end the others.`,
      );
      this.#mpi.abort(code || 1);
    });
  }

  /** At once: what is written as usual may be lost when MPI ends the process. */
  #say(what: string): void {
    writeSync(2, `rank ${this.rank} of ${this.size}: ${what}\n`);
  }
}
