/**
 * What training asks of several processes that work together, its ranks: sums, and the little that keeps them
 * in step. `@invnet/mpi` has one over MPI; alone, a process is a `SingleProcess`.
 *
 * All calls but `abort` are collective: every rank makes the same calls in the same order, and each waits for
 * the others. They are synchronous, so that layers may make them in the midst of an evaluation.
 */
import type { Json, Parameter, Ranks } from '@invnet/layers';
import {
  formatValue,
  InvNetError,
  type NumericArray,
  requireBytes,
  requireFunction,
  ValueError,
} from '@invnet/tensor';
import type { Optimizer } from './optimizer.ts';

/** A sum that is under way; its numbers are nobody's to read or change until it is done. */
export interface PendingSum {
  /** Is it done? Asking lets it go on, so a caller with other work to do asks now and then. */
  test(): boolean;
  /** Waits until it is done. */
  wait(): void;
}

/** Numbers from or to a rank. */
export interface Message {
  readonly rank: number;
  readonly numbers: NumericArray;
}

/** What goes in one exchange. */
export interface Exchange {
  readonly send: readonly Message[];
  /** Arrays to be filled, each of the length that was sent. */
  readonly receive: readonly Message[];
}

/** What a training that ranks share is of: some of the options of `train`. */
export interface SharedSetup {
  readonly parameters: readonly Parameter[];
  readonly optimizer: Optimizer;
  readonly clipNorm?: number | undefined;
  readonly startStep?: number;
}

/** Where a rank stands before a step. */
export interface Readiness {
  /** Steps done. */
  readonly step: number;
  /** Are there no more batches? */
  readonly ended: boolean;
  /** The batch of the next one. */
  readonly batch?: unknown;
  /** Was this rank asked to stop? Then all do. */
  readonly aborted: boolean;
}

/** A training that all ranks make together, as `train` goes through it. */
export interface SharedTraining extends Ranks {
  /**
   * Agrees with the others on whether there is a next step.
   *
   * @throws CommunicatorError on all ranks when their batches differ in shape or number, or their parameters have
   * come apart.
   */
  goesOn(state: Readiness): boolean;
  /** Before the loss of a step: from now on gradients are summed as they become final. */
  begin(): void;
  /** After it: the parameters' gradients, and the loss, are the means over all ranks; the rate is that of rank 0. */
  complete(of: { readonly loss: number; readonly learningRate: number }): {
    readonly loss: number;
    readonly learningRate: number;
  };
  /** Ends it. */
  dispose(): void;
}

/** The processes of one run, as each of them sees them. */
export interface Communicator {
  /** This process's number, from 0. */
  readonly rank: number;
  /** How many there are. */
  readonly size: number;

  /**
   * Sums an array over all ranks, in place. Numbers are added in double precision in the order of the ranks, and
   * rounded once: the same bits on all ranks and in every run, on whatever machines and library.
   */
  sum(numbers: NumericArray): void;

  /** As `sum`, while the caller goes on. Several may be under way; all ranks start them in the same order. */
  startSum(numbers: NumericArray): PendingSum;

  /**
   * Sends and receives point to point, all at once, so that no order of theirs can block. Of several messages
   * between two ranks the first sent is the first received. Ranks that have nothing to say leave it out.
   *
   * @example // a ring: what lies at my ends goes to my neighbours, and theirs comes
   * communicator.exchange({
   *   send: [{ rank: left, numbers: first }, { rank: right, numbers: last }],
   *   receive: [{ rank: right, numbers: afterLast }, { rank: left, numbers: beforeFirst }],
   * });
   */
  exchange(messages: Exchange): void;

  /** The bytes that rank 0 gives, on all ranks; what others give is left aside, and may be empty. */
  broadcast(bytes: Uint8Array): Uint8Array;

  /** What each rank gives, by rank, on all of them: small things, to be compared. */
  gather<T extends Json>(value: T): T[];

  /** Returns when all ranks have come here. */
  barrier(): void;

  /**
   * Called by `train`: compares what the ranks are about to train, and gives how they do it together; undefined
   * where there is one rank.
   * @throws CommunicatorError on all ranks, with the rank and what differs.
   */
  share(setup: SharedSetup): Promise<SharedTraining | undefined>;

  /** Ends the processes of all ranks at once, with this reason and this rank's number on stderr. */
  abort(reason: string): never;

  /** Takes leave, at the end of a program. Whoever ends without it ends all ranks with an error. */
  close(): void;
}

/** Ranks do not fit together, or cannot reach each other. */
export class CommunicatorError extends InvNetError {
  override name = 'CommunicatorError';
}

/** One process as rank 0 of 1, so that a program for many runs alone as well. */
export class SingleProcess implements Communicator {
  readonly rank = 0;
  readonly size = 1;

  sum(numbers: NumericArray): void {
    requireNumbers('sum', numbers);
  }

  startSum(numbers: NumericArray): PendingSum {
    requireNumbers('startSum', numbers);
    return { test: () => true, wait() {} };
  }

  exchange(messages: Exchange): void {
    const { send, receive } = requireExchange(messages, 1);
    if (send.length !== receive.length) {
      throw new CommunicatorError(
        `exchange: rank 0 sends ${send.length} messages to itself and receives ${receive.length}; expected ` +
          'as many.',
      );
    }
    const sent = send.map(({ numbers }) => numbers.slice());
    receive.forEach(({ numbers }, i) => {
      if (numbers.byteLength === sent[i]!.byteLength) numbers.set(sent[i]!);
      else {
        throw new CommunicatorError(
          `exchange: rank 0 sent ${sent[i]!.byteLength} bytes to rank 0; expected ${numbers.byteLength}.`,
        );
      }
    });
  }

  broadcast(bytes: Uint8Array): Uint8Array {
    requireBytes('broadcast', 'bytes', bytes);
    return bytes;
  }

  gather<T extends Json>(value: T): T[] {
    return [JSON.parse(requireJson(value))];
  }

  barrier(): void {}

  async share(): Promise<undefined> {}

  abort(reason: string): never {
    console.error(`rank 0 of 1: ${reason}`);
    process.exit(1);
  }

  close(): void {}
}

/** @throws ValueError unless it is a communicator. */
export function requireCommunicator(op: string, communicator: Communicator): void {
  const methods = [
    'sum',
    'startSum',
    'exchange',
    'broadcast',
    'gather',
    'barrier',
    'share',
  ] as const;
  for (const method of methods) {
    const expected = 'a function, as of openMpi()';
    requireFunction(op, `the communicator's ${method}`, communicator?.[method], expected);
  }
}

/** @throws ValueError unless they are numbers as JavaScript holds them in float32 or float64. */
export function requireNumbers(op: string, numbers: NumericArray): NumericArray {
  if (numbers instanceof Float32Array || numbers instanceof Float64Array) return numbers;
  throw new ValueError(
    `${op}: got ${formatValue(numbers)}; expected a Float32Array or a Float64Array.`,
  );
}

/** A value as JSON. @throws ValueError for what has none. */
export function requireJson(value: Json): string {
  let cause: unknown;
  try {
    const text: string | undefined = JSON.stringify(value);
    if (text !== undefined) return text;
  } catch (error) {
    cause = error;
  }
  throw new ValueError(`gather: got ${formatValue(value)}; expected what JSON can say.`, { cause });
}

/** @throws ValueError unless each message is of numbers and a rank below `size`. */
export function requireExchange(messages: Exchange, size: number): Exchange {
  for (const list of ['send', 'receive'] as const) {
    const given = messages?.[list];
    if (!Array.isArray(given)) {
      throw new ValueError(
        `exchange: ${list} is ${formatValue(given)}; expected a list of { rank, numbers }.`,
      );
    }
    for (const message of given) {
      requireNumbers('exchange', message?.numbers);
      if (Number.isSafeInteger(message.rank) && message.rank >= 0 && message.rank < size) continue;
      throw new ValueError(
        `exchange: a rank is ${formatValue(message.rank)}; expected one from 0 to ${size - 1}.`,
      );
    }
  }
  return messages;
}
