/** Exact accounting of a backend's memory, and the one check of how much is asked for. */
import { DisposedError, OutOfMemoryError, ValueError } from './errors.ts';

/** 2³² bytes, the limit of the backends on the CPU unless they are told another. */
export const DEFAULT_MAX_BYTES = 2 ** 32;

/** What a backend holds. Bytes are those that were asked for, not rounded. */
export interface MemoryInfo {
  /** Bytes of all tensors and of the scratch memory in use. */
  readonly liveBytes: number;
  /** Largest `liveBytes` since the start or the last `resetPeakMemory()`. */
  readonly peakBytes: number;
  /** Tensors that share a storage (reshapes) count once each. */
  readonly tensors: number;
}

/** The counter that each backend keeps; storages and scratch memory go through it. */
export class MemoryAccount {
  #live = 0;
  #peak = 0;
  #tensors = 0;
  #closed = false;

  allocated(bytes: number): void {
    this.#live += bytes;
    if (this.#live > this.#peak) this.#peak = this.#live;
  }

  freed(bytes: number): void {
    if (!this.#closed) this.#live -= bytes;
  }

  tensorMade(): void {
    this.#tensors += 1;
  }

  tensorDisposed(): void {
    this.#tensors -= 1;
  }

  /** Counts all bytes as freed, for good, when the backend is disposed; its tensors still count. */
  close(): void {
    this.#live = 0;
    this.#closed = true;
  }

  /** Is the backend disposed? */
  get closed(): boolean {
    return this.#closed;
  }

  /** @throws DisposedError when the backend is disposed. */
  requireOpen(backend: string): void {
    if (this.#closed) throw disposedBackend(backend);
  }

  resetPeak(): void {
    this.#peak = this.#live;
  }

  info(): MemoryInfo {
    return { liveBytes: this.#live, peakBytes: this.#peak, tensors: this.#tensors };
  }
}

/**
 * Checks a number of bytes before anything is made or computed from it. `who` asks for them beside
 * those that are live.
 *
 * @throws OutOfMemoryError where they would exceed the limit. @throws ValueError for what is no
 * number of bytes.
 */
export function requireRoom(who: string, bytes: number, live: number, limit: number): void {
  if (bytes > limit - live) throw noRoom(who, bytes, live, limit);
  if (!Number.isInteger(bytes) || bytes < 0) {
    throw new ValueError(`${who}: expected a whole number of bytes, got ${bytes}.`);
  }
}

/** What is said where there is no room, of a limit or of the machine. */
export function noRoom(
  who: string,
  bytes: number,
  live: number,
  limit: number,
  cause?: unknown,
): OutOfMemoryError {
  return new OutOfMemoryError(
    `${who}: cannot allocate ${bytes} bytes: ${live} bytes are live, and the limit is ${limit} ` +
      'bytes. Dispose tensors, or use a smaller batch.',
    { cause },
  );
}

/** What is said to all that uses a backend, or waits for it, when it is disposed. */
export function disposedBackend(name: string): DisposedError {
  return new DisposedError(
    `${name}: the backend was disposed, and its tensors with it. Call setBackend for another.`,
  );
}
