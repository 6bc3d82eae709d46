/**
 * gpu.js in its WebGPU mode, in browsers and, through Dawn, in Node.js.
 *
 * Kernels are compiled in the background; what was asked for meanwhile waits in a queue, so that
 * everything runs in the order of the calls. Once kernels are compiled, a call submits at once.
 * A kernel's output goes to a block of the pool: gpu.js writes to whatever its `outputBuffer` is.
 */
import { BackendError, DeviceLostError, OutOfMemoryError } from '../errors.ts';
import { gpuJsKernel } from './compile.ts';
import type { Block, Cell, Device, Kernel } from './device.ts';
import type { GpuJs, GpuJsBuffer, GpuJsContext } from './gpujs.js';
import type { Written } from './kernels/choice.ts';
import type { WgslKernel } from './kernels/wgsl.ts';
import { BlockPool } from './pool.ts';
import type { KernelSource } from './source.ts';

interface BufferBlock extends Block {
  readonly handle: GpuJsBuffer;
}

interface CompiledKernel extends Kernel {
  readonly ready: Promise<void>;
  compiled: boolean;
  /** Submits the kernel; it is compiled by then. */
  readonly submit: (
    inputs: readonly GpuJsBuffer[],
    scalars: readonly number[],
    output: GPUBuffer,
  ) => Promise<unknown> | undefined;
}

interface Task {
  readonly run: () => void;
  readonly ready: Promise<void> | undefined;
}

// Values of GPUBufferUsage and GPUMapMode, which the specification fixes and Node.js does not have.
const MAP_READ = 0x0001;
const COPY_SRC = 0x0004;
const COPY_DST = 0x0008;
const STORAGE = 0x0080;

/**
 * Vulkan's extension that zeroes workgroup memory, instead of which Dawn writes a loop: SwiftShader
 * unrolls what the extension asks for, and takes a second to compile a product, not 0.05.
 */
const zeroingByDriver = 'use_vulkan_zero_initialize_workgroup_memory_extension';

/** How many are on gpu.js's one device, or about to be; the last one to leave closes it. */
let users = 0;

/** @throws BackendError that says what is missing. */
export async function openWebGpu(gpujs: GpuJs): Promise<WebGpuDevice> {
  if (typeof navigator === 'undefined' || !navigator.gpu) await provideWebGpu();
  let context: GpuJsContext;
  users += 1;
  try {
    context = await gpujs.WebGPUContext.acquire();
  } catch (error) {
    users -= 1;
    throw new BackendError(
      'gpu: WebGPU is there, but has no adapter. Expected a GPU with a Vulkan, Metal or Direct3D 12 ' +
        "driver; on Linux install the driver and the package libvulkan1, or use setBackend('wasm').",
      { cause: error },
    );
  }
  return new WebGpuDevice(gpujs, context);
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
  readonly #gpujs: GpuJs;
  readonly #context: GpuJsContext;
  readonly #device: GPUDevice;
  readonly #pool: BlockPool<BufferBlock>;
  readonly #tasks: Task[] = [];
  #draining = false;
  #left = false;
  #failure: Error | undefined;
  #runs = 0;
  #reads = 0;

  constructor(gpujs: GpuJs, context: GpuJsContext) {
    this.#gpujs = gpujs;
    this.#context = context;
    const { adapter, device } = context;
    this.#device = device;
    const { vendor, architecture, description } = adapter.info;
    this.description = [vendor, architecture, description].filter(Boolean).join(' ') || 'unknown';
    const { maxStorageBufferBindingSize, maxBufferSize } = device.limits;
    this.maxBlockBytes = Math.min(maxStorageBufferBindingSize, maxBufferSize);
    this.#pool = new BlockPool<BufferBlock>(
      (quads) => this.#createBlock(quads),
      ({ handle }) => this.#enqueue(() => handle.buffer.destroy()),
    );
    // What gpu.js prints here, a read throws.
    device.onuncapturederror = ({ error }) => {
      this.#failure ??= new BackendError(`gpu: the device reported: ${error.message}`);
    };
    void device.lost.then(({ reason, message }) => {
      if (this.#left) return;
      this.#leave();
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
    return this.#pool.take(quads);
  }

  release(block: Block): void {
    this.#pool.give(block as BufferBlock);
  }

  write(block: Block, data: Float32Array): void {
    const { buffer } = (block as BufferBlock).handle;
    // A waiting write must not see what the caller does to the array later.
    const numbers = this.#tasks.length > 0 ? data.slice() : data;
    this.#enqueue(() =>
      this.#device.queue.writeBuffer(buffer, 0, numbers as Float32Array<ArrayBuffer>),
    );
  }

  read(x: Cell): Promise<Float32Array> {
    this.#reads += 1;
    const { buffer } = (x.block as BufferBlock).handle;
    const bytes = 4 * x.size;
    return new Promise((resolve, reject) => {
      this.#enqueue(() => {
        const error = this.#failure ?? x.error;
        if (error) return reject(error);
        const staging = this.#device.createBuffer({ size: bytes, usage: MAP_READ | COPY_DST });
        const encoder = this.#device.createCommandEncoder();
        encoder.copyBufferToBuffer(buffer, 0, staging, 0, bytes);
        this.#device.queue.submit([encoder.finish()]);
        staging.mapAsync(MAP_READ).then(
          () => {
            const data = new Float32Array(staging.getMappedRange().slice(0));
            staging.destroy();
            if (this.#failure) reject(this.#failure);
            else resolve(data);
          },
          // The reason that the device was lost arrives in a task of its own.
          (cause) => this.#lostOr(cause).then(reject),
        );
      });
    });
  }

  compile(source: KernelSource, written: Written): Kernel {
    const { submit, ready } =
      written === 'wgsl' && source.wgsl
        ? this.#writtenByHand(source.wgsl())
        : this.#byGpuJs(source);
    const compiled: CompiledKernel = { op: source.op, submit, ready, compiled: false };
    ready.then(
      () => {
        compiled.compiled = true;
      },
      () => {},
    );
    return compiled;
  }

  #byGpuJs(source: KernelSource): Pick<CompiledKernel, 'ready' | 'submit'> {
    const { WebGPUKernel } = this.#gpujs;
    const { text, settings } = gpuJsKernel(source, 'WebGPUBuffer');
    const kernel = new WebGPUKernel(text, settings);
    // The types are given, so the values only have to be there.
    const built = kernel.build(...source.arrays.map(() => 0), ...source.scalars.map(() => 0));
    return {
      // The first output of gpu.js's own is never used.
      ready: built.then(() => kernel.outputBuffer?.destroy()),
      submit: (inputs, scalars, output) => {
        kernel.outputBuffer = output;
        kernel.bindGroupDirty = true;
        return kernel.run(...inputs, ...scalars);
      },
    };
  }

  #writtenByHand({ code, workgroups }: WgslKernel): Pick<CompiledKernel, 'ready' | 'submit'> {
    const device = this.#device;
    let pipeline: GPUComputePipeline | undefined;
    const module = device.createShaderModule({ code });
    const ready = device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
    return {
      ready: ready.then((made) => {
        pipeline = made;
      }),
      submit: (inputs, _scalars, output) => {
        const buffers = [...inputs.map(({ buffer }) => buffer), output];
        const encoder = device.createCommandEncoder();
        const pass = encoder.beginComputePass();
        pass.setPipeline(pipeline!);
        pass.setBindGroup(
          0,
          device.createBindGroup({
            layout: pipeline!.getBindGroupLayout(0),
            entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
          }),
        );
        pass.dispatchWorkgroups(...workgroups);
        pass.end();
        device.queue.submit([encoder.finish()]);
        return undefined;
      },
    };
  }

  run(
    kernel: Kernel,
    inputs: readonly Cell[],
    scalars: readonly number[],
    output: Cell,
    block: Block,
  ): void {
    this.#runs += 1;
    const compiled = kernel as CompiledKernel;
    const handles = inputs.map(({ block }) => (block as BufferBlock).handle);
    const { buffer } = (block as BufferBlock).handle;
    this.#enqueue(
      () => {
        const failed = inputs.find((x) => x.error !== undefined);
        if (failed) {
          output.error = failed.error;
          return;
        }
        try {
          compiled
            .submit(handles, scalars, buffer)
            ?.catch((error) => this.#fail(kernel.op, output, error));
        } catch (error) {
          this.#fail(kernel.op, output, error);
        }
      },
      compiled.compiled ? undefined : compiled.ready,
      (error) => this.#fail(kernel.op, output, error),
    );
  }

  close(reason: Error): void {
    this.#failure = reason;
    this.#pool.destroy();
    if (!this.#left) this.#leave();
  }

  #leave(): void {
    this.#left = true;
    users -= 1;
    if (users === 0) void this.#gpujs.WebGPUContext.destroy();
  }

  #fail(op: string, output: Cell, cause: unknown): void {
    const message = cause instanceof Error ? cause.message : String(cause);
    output.error =
      this.#failure ?? new BackendError(`${op}: failed on the gpu: ${message}`, { cause });
  }

  async #lostOr(cause: unknown): Promise<Error> {
    if (!this.#failure)
      await Promise.race([this.#device.lost, new Promise((r) => setTimeout(r, 100))]);
    return this.#failure ?? new BackendError('gpu: a read failed.', { cause });
  }

  #createBlock(quads: number): BufferBlock {
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
    const handle = new this.#gpujs.WebGPUBufferResult({
      buffer,
      output: [4 * quads],
      componentCount: 1,
      context: this.#context,
      kernel: null,
    });
    return { quads, handle };
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
