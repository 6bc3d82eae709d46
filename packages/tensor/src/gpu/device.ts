/** What the two kinds of device have in common: blocks of memory, kernels, and reads. */
import type { WgslSource } from './kernels/shader.ts';
import type { KernelSource } from './source.ts';

/** Which interface of the machine computes. */
export type GpuMode = 'webgpu' | 'webgl2';

/** Memory of the device for `quads` × 4 numbers; what is inside is the device's own. */
export interface Block {
  readonly quads: number;
  /** Blocks of a device are numbered as they are made. */
  readonly id: number;
}

/** Numbers on a device, with the block that holds them now, or the error that kept them away. */
export interface Cell {
  readonly size: number;
  block: Block;
  /** The failure of the operation that should have made this, for the next read. */
  error?: Error | undefined;
}

/** A kernel, ready to run or about to be. */
export interface Kernel {
  readonly op: string;
}

/**
 * A device runs what it is told in order. Calls return at once; what went wrong is kept in the
 * output's cell and comes out when it is read.
 */
export interface Device {
  readonly mode: GpuMode;
  /** Adapter, vendor, driver: what the device says of itself. */
  readonly description: string;
  /** Bytes of the largest block. */
  readonly maxBlockBytes: number;
  /** Arrays that a kernel in WGSL may have. */
  readonly maxArrays: number;
  /** Kernels run so far, reads so far, and bytes of blocks that wait for reuse. */
  readonly counts: { readonly runs: number; readonly reads: number; readonly pooledBytes: number };

  allocate(quads: number): Block;
  release(block: Block): void;
  write(block: Block, data: Float32Array): void;
  read(x: Cell): Promise<Float32Array>;
  compile(source: KernelSource): Kernel;
  /** Compiles what has no other form, on devices that take WGSL. */
  readonly compileWgsl?: (source: WgslSource) => Kernel;
  /**
   * Writes to the blocks that outputs have now. Kernels of `compile` have one, which is none of the
   * inputs; those in WGSL may have several, and may read them as well.
   */
  run(
    kernel: Kernel,
    inputs: readonly Cell[],
    scalars: readonly number[],
    outputs: readonly Cell[],
  ): void;
  /** Destroys all blocks; reads that wait, and later ones, are rejected with this reason. */
  close(reason: Error): void;
}
