/** Exact accounting of a backend's memory. */

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

  allocated(bytes: number): void {
    this.#live += bytes;
    if (this.#live > this.#peak) this.#peak = this.#live;
  }

  freed(bytes: number): void {
    this.#live -= bytes;
  }

  tensorMade(): void {
    this.#tensors += 1;
  }

  tensorDisposed(): void {
    this.#tensors -= 1;
  }

  resetPeak(): void {
    this.#peak = this.#live;
  }

  info(): MemoryInfo {
    return { liveBytes: this.#live, peakBytes: this.#peak, tensors: this.#tensors };
  }
}
