/**
 * WebGPU, in browsers and, through Dawn, in Node.js. Kernels are in WGSL: our own, and those that gpu.js
 * translates.
 *
 * Kernels are compiled in the background; what was asked for meanwhile waits in a queue, so that
 * everything runs in the order of the calls. Once kernels are compiled, a call is recorded at once
 * (`commands.ts`).
 */
import { BackendError, DeviceLostError, OutOfMemoryError } from '../errors.ts';
import { type BufferBlock, Commands, type Pipeline } from './commands.ts';
import { gpuJsKernel } from './compile.ts';
import type { Block, Cell, Device, Kernel } from './device.ts';
import type { GpuJs } from './gpujs.js';
import {
  type Binding,
  MAX_WORKGROUPS,
  type WgslKernel,
  type WgslSource,
} from './kernels/shader.ts';
import { BlockPool } from './pool.ts';
import type { KernelSource } from './source.ts';

interface CompiledKernel extends Kernel {
  readonly ready: Promise<void>;
  /** Once it is ready. */
  pipeline: Pipeline | undefined;
}

interface Task {
  readonly run: () => void;
  readonly ready: Promise<void> | undefined;
}

/** What a kernel is made of besides its pipeline. */
interface Translated {
  readonly kernel: WgslKernel;
  /** The uniform as it is before numbers are put in, and the first word of those. */
  readonly words?: Uint32Array | undefined;
  readonly firstNumber?: number;
}

// Values of GPUBufferUsage, GPUMapMode and GPUShaderStage, which the specification fixes and Node.js does
// not have.
const MAP_READ = 0x0001;
const COPY_SRC = 0x0004;
const COPY_DST = 0x0008;
const STORAGE = 0x0080;
const COMPUTE = 0x4;

/**
 * Vulkan's extension that zeroes workgroup memory, instead of which Dawn writes a loop: SwiftShader
 * unrolls what the extension asks for, and takes a second to compile a product, not 0.05.
 */
const zeroingByDriver = 'use_vulkan_zero_initialize_workgroup_memory_extension';

/** Reads of so many bytes use a buffer again, of which so many are kept: to make one takes longer than the read. */
const KEPT_STAGING_BYTES = 1 << 20;
const KEPT_STAGING = 8;

/** @throws BackendError that says what is missing. */
export async function openWebGpu(gpujs: GpuJs): Promise<WebGpuDevice> {
  if (typeof navigator === 'undefined' || !navigator.gpu) await provideWebGpu();
  try {
    const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
    if (!adapter) throw new Error('There is no adapter.');
    const { maxStorageBufferBindingSize, maxBufferSize, maxStorageBuffersPerShaderStage } =
      adapter.limits;
    // What the adapter has, not the 128 MiB and 8 buffers that every device has.
    const requiredLimits = {
      maxStorageBufferBindingSize,
      maxBufferSize,
      maxStorageBuffersPerShaderStage,
    };
    return new WebGpuDevice(gpujs, adapter, await adapter.requestDevice({ requiredLimits }));
  } catch (error) {
    throw new BackendError(
      'gpu: WebGPU is there, but has no adapter. Expected a GPU with a Vulkan, Metal or Direct3D 12 ' +
        "driver; on Linux install the driver and the package libvulkan1, or use setBackend('wasm').",
      { cause: error },
    );
  }
}

/** In Node.js, `navigator.gpu` comes from the package webgpu. */
async function provideWebGpu(): Promise<void> {
  if (typeof process === 'undefined' || !process.versions?.node) {
    throw new BackendError(
      'gpu: this browser has no WebGPU here (a page must come over https or from localhost).',
    );
  }
  const dawn = await importDawn();
  Object.assign(globalThis, dawn.globals);
  // Node.js 20 has no `navigator`.
  if (typeof navigator === 'undefined') {
    Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
  }
  // Kept for good: when the instance is collected, the devices that it made are gone.
  const gpu = dawn.create([`disable-dawn-features=${zeroingByDriver}`]);
  Object.defineProperty(globalThis.navigator, 'gpu', { value: gpu, configurable: true });
}

async function importDawn(): Promise<typeof import('webgpu')> {
  try {
    // Not a literal, and marked: bundlers for browsers must not look for a native module.
    const name = 'webgpu';
    return await import(/* @vite-ignore */ /* webpackIgnore: true */ name);
  } catch (error) {
    throw new BackendError(
      'gpu: WebGPU in Node.js comes from the package webgpu; install it with `npm install webgpu@0.6`.',
      { cause: error },
    );
  }
}

export class WebGpuDevice implements Device {
  readonly mode = 'webgpu';
  readonly description: string;
  readonly maxBlockBytes: number;
  readonly maxArrays: number;
  readonly #gpujs: GpuJs;
  readonly #device: GPUDevice;
  readonly #commands: Commands;
  readonly #pool: BlockPool<BufferBlock>;
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  readonly #staging: GPUBuffer[] = [];
  readonly #tasks: Task[] = [];
  #draining = false;
  #closed = false;
  #failure: Error | undefined;
  #runs = 0;
  #reads = 0;

  constructor(gpujs: GpuJs, adapter: GPUAdapter, device: GPUDevice) {
    this.#gpujs = gpujs;
    this.#device = device;
    this.#commands = new Commands(device);
    const { vendor, architecture, description } = adapter.info;
    this.description = [vendor, architecture, description].filter(Boolean).join(' ') || 'unknown';
    const { maxStorageBufferBindingSize, maxBufferSize, maxStorageBuffersPerShaderStage } =
      device.limits;
    this.maxBlockBytes = Math.min(maxStorageBufferBindingSize, maxBufferSize);
    this.maxArrays = maxStorageBuffersPerShaderStage;
    this.#pool = new BlockPool<BufferBlock>(
      (quads, id) => this.#createBlock(quads, id),
      (block) => this.#enqueue(() => this.#commands.destroy(block)),
    );
    device.onuncapturederror = ({ error }) => {
      this.#failure ??= new BackendError(`gpu: the device reported: ${error.message}`);
    };
    void device.lost.then(({ reason, message }) => {
      if (this.#closed) return;
      this.#failure = new DeviceLostError(
        `gpu: the device was lost (${reason || 'unknown'}${message ? `: ${message}` : ''}). Its ` +
          "tensors are gone; call setBackend('gpu') again and restore the last checkpoint.",
      );
    });
  }

  get counts() {
    return { runs: this.#runs, reads: this.#reads, pooledBytes: this.#pool.freeBytes };
  }

  allocate(quads: number): Block {
    return this.#pool.take(roomy(quads));
  }

  release(block: Block): void {
    this.#pool.give(block as BufferBlock);
  }

  write(block: Block, data: Float32Array): void {
    // A waiting write must not see what the caller does to the array later.
    const numbers = this.#tasks.length > 0 ? data.slice() : data;
    this.#enqueue(() => this.#commands.write(block as BufferBlock, numbers));
  }

  read(x: Cell): Promise<Float32Array> {
    this.#reads += 1;
    const block = x.block as BufferBlock;
    const bytes = 4 * x.size;
    return new Promise((resolve, reject) => {
      this.#enqueue(() => {
        const error = this.#failure ?? x.error;
        if (error) return reject(error);
        const staging = this.#takeStaging(bytes);
        this.#commands.copyOut(block, staging, bytes);
        staging.mapAsync(MAP_READ, 0, bytes).then(
          () => {
            const data = new Float32Array(staging.getMappedRange(0, bytes).slice(0));
            this.#giveStaging(staging);
            if (this.#failure) reject(this.#failure);
            else resolve(data);
          },
          // The reason that the device was lost arrives in a task of its own.
          (cause) => this.#lostOr(cause).then(reject),
        );
      });
    });
  }

  compile(source: KernelSource): Kernel {
    return this.#compiled(source.op, () => this.#translate(source));
  }

  compileWgsl(source: WgslSource): Kernel {
    return this.#compiled(source.op, () => {
      const kernel = source.wgsl();
      return { kernel, words: kernel.numbers ? new Uint32Array(4 * kernel.numbers) : undefined };
    });
  }

  #compiled(op: string, write: () => Translated): Kernel {
    const { kernel, words, firstNumber = 0 } = write();
    const { code, workgroups, bindings } = kernel;
    const device = this.#device;
    const layout = this.#layout(bindings);
    const module = device.createShaderModule({ code });
    const compiled: CompiledKernel = {
      op,
      pipeline: undefined,
      ready: device
        .createComputePipelineAsync({
          layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
          compute: { module },
        })
        .then((pipeline) => {
          compiled.pipeline = { pipeline, layout, workgroups, bindings, words, firstNumber };
        }),
    };
    // Whoever runs it waits for it.
    compiled.ready.catch(() => {});
    return compiled;
  }

  #layout(bindings: readonly Binding[]): GPUBindGroupLayout {
    const key = bindings.join();
    let layout = this.#layouts.get(key);
    if (!layout) {
      const entries = bindings.map((kind, binding): GPUBindGroupLayoutEntry => {
        const buffer: GPUBufferBindingLayout =
          kind === 'numbers'
            ? { type: 'uniform', hasDynamicOffset: true }
            : { type: kind === 'read' ? 'read-only-storage' : 'storage' };
        return { binding, visibility: COMPUTE, buffer };
      });
      layout = this.#device.createBindGroupLayout({ entries });
      this.#layouts.set(key, layout);
    }
    return layout;
  }

  /** From a kernel of gpu.js's to WGSL, whose compilation is ours. */
  #translate(source: KernelSource): Translated {
    const { WebGPUKernel } = this.#gpujs;
    const { text, settings } = gpuJsKernel(source, 'WebGPUBuffer');
    const kernel = new WebGPUKernel(text, settings);
    kernel._buildAsync = () => Promise.resolve();
    // The types are given, so the values only have to be there.
    void kernel.build(...source.arrays.map(() => 0), ...source.scalars.map(() => 0));
    const { byteLength, scalarArgs } = kernel.paramsLayout;
    const quads = Math.ceil(source.size / 4);
    const groups = Math.ceil(quads / 64);
    const down = Math.ceil(groups / MAX_WORKGROUPS);
    const across = Math.ceil(groups / down);
    const words = new Uint32Array(byteLength / 4);
    words.set([quads, 1, 1, across * 64]);
    return {
      kernel: {
        code: kernel.compiledSource,
        workgroups: [across, down, 1],
        bindings: ['numbers', ...source.arrays.map(() => 'read' as const), 'write'],
      },
      words,
      firstNumber: (scalarArgs[0]?.offset ?? 0) / 4,
    };
  }

  run(
    kernel: Kernel,
    inputs: readonly Cell[],
    scalars: readonly number[],
    outputs: readonly Cell[],
  ): void {
    this.#runs += 1;
    const compiled = kernel as CompiledKernel;
    // The blocks that they have now: an update may give them others before this runs.
    const blocks = [...inputs, ...outputs].map(({ block }) => block as BufferBlock);
    const run = () => {
      const error =
        inputs.find((x) => x.error)?.error ?? outputs.find((x) => x.error)?.error ?? undefined;
      if (error) return fail(outputs, error);
      if (!compiled.pipeline) return;
      try {
        this.#commands.dispatch(compiled.pipeline, blocks, scalars);
      } catch (error) {
        this.#fail(kernel.op, outputs, error);
      }
    };
    if (compiled.pipeline) this.#enqueue(run);
    else this.#enqueue(run, compiled.ready, (error) => this.#fail(kernel.op, outputs, error));
  }

  close(reason: Error): void {
    this.#closed = true;
    this.#failure = reason;
    this.#pool.destroy();
    for (const staging of this.#staging) staging.destroy();
    this.#device.destroy();
  }

  #fail(op: string, outputs: readonly Cell[], cause: unknown): void {
    const message = cause instanceof Error ? cause.message : String(cause);
    const error =
      this.#failure ?? new BackendError(`${op}: failed on the gpu: ${message}`, { cause });
    fail(outputs, error);
  }

  async #lostOr(cause: unknown): Promise<Error> {
    if (!this.#failure)
      await Promise.race([this.#device.lost, new Promise((r) => setTimeout(r, 100))]);
    return this.#failure ?? new BackendError('gpu: a read failed.', { cause });
  }

  #createBlock(quads: number, id: number): BufferBlock {
    const device = this.#device;
    const size = 16 * quads;
    device.pushErrorScope('out-of-memory');
    const buffer = device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST });
    device.popErrorScope().then(
      (error) => {
        if (!error) return;
        this.#failure ??= new OutOfMemoryError(
          `gpu: the device had no room for a buffer of ${size} bytes; ${error.message}`,
        );
      },
      () => {},
    );
    return { quads, id, buffer, batch: 0 };
  }

  #takeStaging(bytes: number): GPUBuffer {
    const found = this.#staging.findIndex(({ size }) => size >= bytes);
    if (found >= 0) return this.#staging.splice(found, 1)[0]!;
    // Of a few sizes, so that they serve others as well.
    const size = Math.max(
      4096,
      bytes > KEPT_STAGING_BYTES ? bytes : 2 ** Math.ceil(Math.log2(bytes)),
    );
    return this.#device.createBuffer({ size, usage: MAP_READ | COPY_DST });
  }

  #giveStaging(staging: GPUBuffer): void {
    if (staging.size > KEPT_STAGING_BYTES || this.#staging.length === KEPT_STAGING) {
      staging.destroy();
      return;
    }
    staging.unmap();
    this.#staging.push(staging);
    this.#staging.sort((a, b) => a.size - b.size);
  }

  /** Runs a task now, or after those that wait. */
  #enqueue(run: () => void, ready?: Promise<void>, onError?: (error: unknown) => void): void {
    if (this.#tasks.length === 0 && !this.#draining && !ready) {
      run();
      return;
    }
    this.#tasks.push({ run, ready: ready?.catch((error) => onError?.(error)) });
    if (!this.#draining) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#draining = true;
    for (let task = this.#tasks[0]; task; task = this.#tasks[0]) {
      if (task.ready) await task.ready;
      task.run();
      this.#tasks.shift();
    }
    this.#draining = false;
  }
}

function fail(outputs: readonly Cell[], error: Error): void {
  for (const output of outputs) output.error = error;
}

/** The size rounded up to a quarter of a power of two, so that neighbours in size share their blocks. */
function roomy(quads: number): number {
  const unit = 2 ** Math.max(0, Math.floor(Math.log2(quads)) - 2);
  return unit * Math.ceil(quads / unit);
}
