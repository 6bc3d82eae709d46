/**
 * What is told to a WebGPU device, in order. To hand over one kernel takes longer than most kernels run, so
 * they are recorded in batches: one is handed over when it is full, when something is read, and at the end
 * of the caller's task at the latest. Numbers of a batch lie in one uniform buffer, a slot a kernel; what
 * binds a kernel to its buffers is kept for the next time.
 */
import type { Block } from './device.ts';
import type { Binding } from './kernels/shader.ts';

/** A block's buffer, and the last batch that uses it. */
export interface BufferBlock extends Block {
  readonly buffer: GPUBuffer;
  batch: number;
}

/** A kernel that is compiled. */
export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly workgroups: readonly [number, number, number];
  readonly bindings: readonly Binding[];
  /** The uniform as it is before numbers are put in, from word `firstNumber` on. */
  readonly words: Uint32Array | undefined;
  readonly firstNumber: number;
}

/** Kernels of a batch. Large enough that handing over is a small part, small enough to begin early. */
const BATCH = 64;
/** Bytes of a slot: what offsets of uniforms are multiples of on every device. */
const SLOT = 256;
/** Bindings of a kernel that are kept. */
const KEPT = 256;

// Values of GPUBufferUsage.
const COPY_DST = 0x0008;
const UNIFORM = 0x0040;

export class Commands {
  readonly #device: GPUDevice;
  readonly #uniforms: GPUBuffer;
  readonly #words = new Uint32Array((BATCH * SLOT) / 4);
  readonly #numbers = new Float32Array(this.#words.buffer);
  readonly #groups = new Map<Pipeline, Map<string, GPUBindGroup>>();
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #last: Pipeline | undefined;
  #batch = 1;
  #recorded = 0;
  #slots = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#uniforms = device.createBuffer({ size: BATCH * SLOT, usage: UNIFORM | COPY_DST });
  }

  /** Records a kernel on blocks in the order of its bindings. */
  dispatch(kernel: Pipeline, blocks: readonly BufferBlock[], scalars: readonly number[]): void {
    const group = this.#group(kernel, blocks);
    const pass = this.#open();
    if (this.#last !== kernel) pass.setPipeline(kernel.pipeline);
    this.#last = kernel;
    if (kernel.words) {
      const slot = this.#slots++;
      this.#words.set(kernel.words, (slot * SLOT) / 4);
      this.#numbers.set(scalars, (slot * SLOT) / 4 + kernel.firstNumber);
      pass.setBindGroup(0, group, [slot * SLOT]);
    } else {
      pass.setBindGroup(0, group);
    }
    pass.dispatchWorkgroups(...kernel.workgroups);
    for (const block of blocks) block.batch = this.#batch;
    this.#recorded += 1;
    if (this.#recorded === BATCH) this.flush();
  }

  /** Numbers to a block, before what comes later and after what was recorded. */
  write(block: BufferBlock, data: Float32Array): void {
    this.#flushIfUsed(block);
    this.#device.queue.writeBuffer(block.buffer, 0, data as Float32Array<ArrayBuffer>);
  }

  /** A block's first bytes to a buffer that can be mapped then. */
  copyOut(block: BufferBlock, to: GPUBuffer, bytes: number): void {
    this.#open();
    this.#pass?.end();
    this.#pass = undefined;
    this.#encoder!.copyBufferToBuffer(block.buffer, 0, to, 0, bytes);
    this.flush();
  }

  destroy(block: BufferBlock): void {
    this.#flushIfUsed(block);
    block.buffer.destroy();
  }

  /** Hands over what was recorded. */
  flush(): void {
    const encoder = this.#encoder;
    if (!encoder) return;
    this.#pass?.end();
    const { queue } = this.#device;
    if (this.#slots > 0)
      queue.writeBuffer(this.#uniforms, 0, this.#words, 0, (this.#slots * SLOT) / 4);
    queue.submit([encoder.finish()]);
    this.#encoder = undefined;
    this.#pass = undefined;
    this.#last = undefined;
    this.#batch += 1;
    this.#recorded = 0;
    this.#slots = 0;
  }

  #open(): GPUComputePassEncoder {
    if (!this.#encoder) {
      this.#encoder = this.#device.createCommandEncoder();
      const batch = this.#batch;
      queueMicrotask(() => {
        if (this.#batch === batch) this.flush();
      });
    }
    this.#pass ??= this.#encoder.beginComputePass();
    return this.#pass;
  }

  #flushIfUsed(block: BufferBlock): void {
    if (block.batch === this.#batch) this.flush();
  }

  #group(kernel: Pipeline, blocks: readonly BufferBlock[]): GPUBindGroup {
    let groups = this.#groups.get(kernel);
    if (!groups) {
      groups = new Map();
      this.#groups.set(kernel, groups);
    }
    let key = '';
    for (const { id } of blocks) key += `${id},`;
    let group = groups.get(key);
    if (!group) {
      // Some are of blocks that are gone.
      if (groups.size === KEPT) groups.clear();
      group = this.#bind(kernel, blocks);
      groups.set(key, group);
    }
    return group;
  }

  #bind({ layout, bindings, words }: Pipeline, blocks: readonly BufferBlock[]): GPUBindGroup {
    let next = 0;
    const entries = bindings.map((kind, binding): GPUBindGroupEntry => {
      const resource =
        kind === 'numbers'
          ? { buffer: this.#uniforms, size: words!.byteLength }
          : { buffer: blocks[next++]!.buffer };
      return { binding, resource };
    });
    return this.#device.createBindGroup({ layout, entries });
  }
}
