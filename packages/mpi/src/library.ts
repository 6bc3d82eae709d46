/**
 * The functions of MPI that are needed here, as an MPI library on this machine has them. What differs between
 * libraries is settled here: the handles of Open MPI are addresses, those of MPICH and its relatives integers, and
 * those of the standard interface of MPI 5 small addresses.
 *
 * Left out: which library is opened (discovery.ts). All messages are bytes, so no types and no operations of MPI's
 * are needed.
 */
import { CommunicatorError } from '@invnet/train';
import koffi, { type LibraryHandle } from 'koffi';

/** A communicator of MPI's own. */
export type Handle = number | bigint;

/** Something under way: an `MPI_Request`, where MPI itself keeps it. */
export type Request = BigUint64Array;

/** Memory that MPI reads or writes. */
export type Memory = Float32Array | Float64Array | Uint8Array | Int32Array | BigUint64Array;

/** What an interface calls the things that are constants in MPI. */
interface Constants {
  readonly kind: string;
  readonly handle: 'int' | 'uintptr_t';
  readonly world: Handle;
  readonly byte: Handle;
  readonly inPlace: number;
  readonly ignoreStatus: number;
  readonly funneled: number;
  /** Of an `MPI_Status`, or a little more. */
  readonly statusBytes: number;
}

const mpich = {
  handle: 'int',
  world: 0x44000000,
  byte: 0x4c00010d,
  inPlace: -1,
  ignoreStatus: 1,
  funneled: 1,
  statusBytes: 20,
} as const;

const standard = {
  handle: 'uintptr_t',
  world: 0x101,
  byte: 0x247,
  inPlace: 1,
  ignoreStatus: 0,
  funneled: 1024,
  statusBytes: 32,
} as const;

/** An MPI library that has been started. Each method is the function of MPI of that name. */
export class MpiLibrary {
  readonly path: string;
  /** `'Open MPI'`, `'MPICH'` or `'MPI 5'`: whose binary interface it has. */
  readonly kind: string;
  readonly world: Handle;
  readonly #constants: Constants;
  readonly #call: Readonly<Record<FunctionName, (...args: unknown[]) => void>>;

  /** Opens a library and starts it. @throws CommunicatorError */
  constructor(path: string) {
    let library: LibraryHandle;
    try {
      // The plug-ins of Open MPI look its symbols up globally.
      library = koffi.load(path, { global: true });
    } catch (cause) {
      throw new CommunicatorError(`${path} cannot be opened: ${messageOf(cause)}`, { cause });
    }
    const constants = constantsOf(library, path);
    this.path = path;
    this.kind = constants.kind;
    this.world = constants.world;
    this.#constants = constants;
    this.#call = functionsOf(library, path, constants.handle);
    const provided = new Int32Array(1);
    this.#call.MPI_Init_thread(null, null, constants.funneled, provided);
    if (provided[0]! >= constants.funneled) return;
    throw new CommunicatorError(
      `${path} allows no other threads (level ${provided[0]}); expected MPI_THREAD_FUNNELED, for Node.js has ` +
        'threads of its own.',
    );
  }

  finalize(): void {
    this.#call.MPI_Finalize();
  }

  abort(code: number): void {
    this.#call.MPI_Abort(this.world, code);
  }

  rank(of: Handle): number {
    const rank = new Int32Array(1);
    this.#call.MPI_Comm_rank(of, rank);
    return rank[0]!;
  }

  size(of: Handle): number {
    const size = new Int32Array(1);
    this.#call.MPI_Comm_size(of, size);
    return size[0]!;
  }

  /** What the library says of itself: its name and version. */
  get version(): string {
    const text = new Uint8Array(8192);
    const length = new Int32Array(1);
    this.#call.MPI_Get_library_version(text, length);
    return new TextDecoder()
      .decode(text.subarray(0, length[0]))
      .split(/[\0\n,]/)[0]!
      .trim();
  }

  duplicate(of: Handle): Handle {
    const made = new BigUint64Array(1);
    this.#call.MPI_Comm_dup(of, made);
    return this.#constants.handle === 'int' ? new Int32Array(made.buffer)[0]! : made[0]!;
  }

  allgather(send: Memory, receive: Memory, on: Handle): void {
    const { byte } = this.#constants;
    const { byteLength } = send;
    this.#call.MPI_Allgather(send, byteLength, byte, receive, byteLength, byte, on);
  }

  /** Parts are of `counts` bytes, at `places`. */
  allgatherv(send: Memory, receive: Memory, { counts, places }: Parts, on: Handle): void {
    const { byte } = this.#constants;
    this.#call.MPI_Allgatherv(send, send.byteLength, byte, receive, counts, places, byte, on);
  }

  broadcast(bytes: Uint8Array, on: Handle): void {
    this.#call.MPI_Bcast(bytes, bytes.byteLength, this.#constants.byte, 0, on);
  }

  startAllgather(send: Memory, receive: Memory, on: Handle): Request {
    const request = new BigUint64Array(1);
    const { byte } = this.#constants;
    const { byteLength } = send;
    this.#call.MPI_Iallgather(send, byteLength, byte, receive, byteLength, byte, on, request);
    return request;
  }

  /** As `allgatherv`, of parts that already are in their places. */
  startAllgatherv(all: Memory, { counts, places }: Parts, on: Handle): Request {
    const request = new BigUint64Array(1);
    const { byte, inPlace } = this.#constants;
    this.#call.MPI_Iallgatherv(inPlace, 0, byte, all, counts, places, byte, on, request);
    return request;
  }

  startAlltoallv(send: Memory, to: Parts, receive: Memory, from: Parts, on: Handle): Request {
    const request = new BigUint64Array(1);
    const { byte } = this.#constants;
    this.#call.MPI_Ialltoallv(
      ...[send, to.counts, to.places, byte],
      ...[receive, from.counts, from.places, byte],
      on,
      request,
    );
    return request;
  }

  test(request: Request): boolean {
    const done = new Int32Array(1);
    this.#call.MPI_Test(request, done, this.#constants.ignoreStatus);
    return done[0] !== 0;
  }

  wait(request: Request): void {
    this.#call.MPI_Wait(request, this.#constants.ignoreStatus);
  }

  /** Sends and receives; gives how many bytes came for each of `receive`. */
  exchange(
    send: readonly { readonly rank: number; readonly memory: Memory }[],
    receive: readonly { readonly rank: number; readonly memory: Memory }[],
    on: Handle,
  ): number[] {
    const { byte, handle, statusBytes } = this.#constants;
    const requestBytes = handle === 'int' ? 4 : 8;
    const count = send.length + receive.length;
    const requests = new Uint8Array(count * requestBytes);
    const statuses = new Uint8Array(count * statusBytes);
    // What is received comes first: the statuses of those are asked.
    const all = [...receive, ...send];
    all.forEach(({ rank, memory }, i) => {
      const request = requests.subarray(i * requestBytes);
      const call = i < receive.length ? this.#call.MPI_Irecv : this.#call.MPI_Isend;
      call(memory, memory.byteLength, byte, rank, 0, on, request);
    });
    this.#call.MPI_Waitall(count, requests, statuses);
    const got = new Int32Array(1);
    return receive.map((_, i) => {
      this.#call.MPI_Get_count(statuses.subarray(i * statusBytes), byte, got);
      return got[0]!;
    });
  }
}

/** Where the part of each rank lies, in bytes. MPI reads these until a call that was started is done. */
export interface Parts {
  readonly counts: Int32Array;
  readonly places: Int32Array;
}

function constantsOf(library: LibraryHandle, path: string): Constants {
  if (/_abi\b/.test(path)) return { kind: 'MPI 5', ...standard };
  try {
    const world = library.symbol('ompi_mpi_comm_world');
    const byte = library.symbol('ompi_mpi_byte');
    // Open MPI numbers the levels of threads from 0, and its statuses are the shorter ones.
    return { kind: 'Open MPI', ...standard, world, byte, funneled: 1, statusBytes: 24 };
  } catch {
    return { kind: 'MPICH', ...mpich };
  }
}

/** Arguments of each function; `comm` and `type` stand for handles. */
const signatures = {
  MPI_Init_thread: ['void *', 'void *', 'int', 'void *'],
  MPI_Finalize: [],
  MPI_Abort: ['handle', 'int'],
  MPI_Comm_rank: ['handle', 'void *'],
  MPI_Comm_size: ['handle', 'void *'],
  MPI_Comm_dup: ['handle', 'void *'],
  MPI_Allgather: ['void *', 'int', 'handle', 'void *', 'int', 'handle', 'handle'],
  MPI_Allgatherv: [
    ...['void *', 'int', 'handle'],
    ...['void *', 'void *', 'void *', 'handle', 'handle'],
  ],
  MPI_Bcast: ['void *', 'int', 'handle', 'int', 'handle'],
  MPI_Iallgather: ['void *', 'int', 'handle', 'void *', 'int', 'handle', 'handle', 'void *'],
  MPI_Iallgatherv: [
    ...['intptr_t', 'int', 'handle'],
    ...['void *', 'void *', 'void *', 'handle', 'handle', 'void *'],
  ],
  MPI_Ialltoallv: [
    ...['void *', 'void *', 'void *', 'handle'],
    ...['void *', 'void *', 'void *', 'handle', 'handle', 'void *'],
  ],
  MPI_Irecv: ['void *', 'int', 'handle', 'int', 'int', 'handle', 'void *'],
  MPI_Isend: ['void *', 'int', 'handle', 'int', 'int', 'handle', 'void *'],
  MPI_Test: ['void *', 'void *', 'intptr_t'],
  MPI_Wait: ['void *', 'intptr_t'],
  MPI_Waitall: ['int', 'void *', 'void *'],
  MPI_Get_count: ['void *', 'handle', 'void *'],
  MPI_Get_library_version: ['void *', 'void *'],
} as const;

type FunctionName = keyof typeof signatures;

function functionsOf(library: LibraryHandle, path: string, handle: Constants['handle']) {
  const bind = (name: FunctionName) => {
    const types = signatures[name].map((type) => (type === 'handle' ? handle : type));
    try {
      const call = library.func(name, 'int', types);
      return (...args: unknown[]) => {
        const code: unknown = call(...args);
        if (code !== 0) throw new CommunicatorError(`${name} of ${path} failed with ${code}.`);
      };
    } catch (cause) {
      throw new CommunicatorError(`${path} lacks ${name}; expected a library of MPI 3 or later.`, {
        cause,
      });
    }
  };
  return {
    MPI_Init_thread: bind('MPI_Init_thread'),
    MPI_Finalize: bind('MPI_Finalize'),
    MPI_Abort: bind('MPI_Abort'),
    MPI_Comm_rank: bind('MPI_Comm_rank'),
    MPI_Comm_size: bind('MPI_Comm_size'),
    MPI_Comm_dup: bind('MPI_Comm_dup'),
    MPI_Allgather: bind('MPI_Allgather'),
    MPI_Allgatherv: bind('MPI_Allgatherv'),
    MPI_Bcast: bind('MPI_Bcast'),
    MPI_Iallgather: bind('MPI_Iallgather'),
    MPI_Iallgatherv: bind('MPI_Iallgatherv'),
    MPI_Ialltoallv: bind('MPI_Ialltoallv'),
    MPI_Irecv: bind('MPI_Irecv'),
    MPI_Isend: bind('MPI_Isend'),
    MPI_Test: bind('MPI_Test'),
    MPI_Wait: bind('MPI_Wait'),
    MPI_Waitall: bind('MPI_Waitall'),
    MPI_Get_count: bind('MPI_Get_count'),
    MPI_Get_library_version: bind('MPI_Get_library_version'),
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
