/**
 * The `gpu` backend: every primitive as kernels on a device, in float32.
 *
 * Calls return at once and numbers stay on the device until they are read. Here descriptions become
 * kernel sources, compiled once per op and shape, and storages are allocated and counted; how
 * kernels run is the device's business.
 */
import type {
  AdamSettings,
  AdamUpdate,
  Backend,
  BackendInfo,
  BinaryOp,
  Broadcast,
  ConvActivation,
  ConvGeometry,
  DType,
  FusedPasses,
  MatmulGeometry,
  ReduceOp,
  Reduction,
  Storage,
  UnaryOp,
} from '../backend.ts';
import { requireWhole } from '../checks.ts';
import { BackendError, DTypeError } from '../errors.ts';
import { disposedBackend, MemoryAccount, requireRoom } from '../memory.ts';
import type { Block, Cell, Device, Kernel } from './device.ts';
import { fusedPasses } from './fused.ts';
import { filterGradParts } from './kernels/choice.ts';
import {
  accumulateSource,
  adamStepSource,
  binarySource,
  fillSource,
  firstMomentSource,
  secondMomentSource,
  unaryScalars,
  unarySource,
} from './kernels/elementwise.ts';
import { concatSource, permuteSource, sliceSource } from './kernels/layout.ts';
import {
  convFilterGradSource,
  convInputGradSource,
  convSource,
  matmulSource,
} from './kernels/products.ts';
import { reduceSources } from './kernels/reduce.ts';
import type { SizedSource, WgslSource } from './kernels/shader.ts';
import { reduceWgsl } from './kernels/sums.ts';
import { accumulateInPlace, adamInPlace, assignInPlace } from './kernels/updates.ts';
import { convFilterGradWgsl, convInputGradWgsl, convWgsl, matmulWgsl } from './kernels/wgsl.ts';
import type { Written } from './options.ts';
import type { KernelSource } from './source.ts';

/**
 * Results that keep a device busy. A filter gradient with fewer is split over the batch, if each
 * sample has positions enough to be worth a sum of its own.
 */
const BUSY = 32_768;
const WORTH_SPLITTING = 64;

class GpuStorage implements Storage, Cell {
  readonly dtype = 'float32';
  readonly owner: GpuBackend;
  readonly size: number;
  block: Block;
  error: Error | undefined;
  freed = false;

  constructor(owner: GpuBackend, size: number, block: Block) {
    this.owner = owner;
    this.size = size;
    this.block = block;
  }
}

/** How the backend came to its device. */
export interface GpuBackendOptions {
  /** Limit on the bytes of all tensors together. Default: none but the device's. */
  readonly maxBytes?: number | undefined;
  /** Why the device is not the one that is tried first. */
  readonly fallbackReason?: string | undefined;
  /** `gpujs`: leave out what is written in WGSL, also where the device takes it. */
  readonly products?: Written | undefined;
}

export class GpuBackend implements Backend {
  readonly name = 'gpu';
  readonly dtypes: readonly DType[] = ['float32'];
  readonly memory = new MemoryAccount();
  readonly fused?: FusedPasses;
  readonly #device: Device;
  readonly #options: GpuBackendOptions;
  readonly #kernels = new Map<string, Kernel>();
  /** From a kernel in WGSL, where such are used. */
  readonly #compileWgsl: ((source: WgslSource) => Kernel) | undefined;

  /** @throws ValueError for a limit that is no number of bytes. */
  constructor(device: Device, options: GpuBackendOptions = {}) {
    const { maxBytes } = options;
    if (maxBytes !== undefined) requireWhole('gpu', 'maxBytes', maxBytes, 1);
    this.#device = device;
    this.#options = options;
    if (!device.compileWgsl || options.products === 'gpujs') return;
    this.#compileWgsl = (source) => device.compileWgsl!(source);
    this.fused = fusedPasses({
      launch: (source, reads, writes) => this.#launch(source, reads, writes),
      making: (op, f) => this.#making(op, f),
      accumulate: (target, x) => this.accumulate(target, x, 1),
      free: (x) => this.free(x),
    });
  }

  get maxTensorBytes(): number {
    return this.#device.maxBlockBytes;
  }

  info(): BackendInfo {
    const { mode, description, maxBlockBytes, counts } = this.#device;
    const { fallbackReason } = this.#options;
    return {
      name: this.name,
      details: {
        mode,
        adapter: description,
        ...(fallbackReason && { fallbackReason }),
        maxTensorBytes: maxBlockBytes,
        kernels: this.#kernels.size,
        ...counts,
      },
    };
  }

  dispose(): void {
    if (this.memory.closed) return;
    this.memory.close();
    this.#device.close(disposedBackend(this.name));
    this.#kernels.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  upload(data: ArrayLike<number>, dtype: DType): Storage {
    const numbers = data instanceof Float32Array ? data : Float32Array.from(data);
    const y = this.#make('upload', data.length, dtype);
    return this.#filled(y, () => this.#device.write(y.block, numbers));
  }

  async read(x: Storage): Promise<Float32Array> {
    return this.#device.read(this.#own(x));
  }

  readSync(_: Storage): Float32Array {
    throw new BackendError(
      'dataSync: the gpu backend cannot read at once; use `await tensor.data()`.',
    );
  }

  free(x: Storage): void {
    if (this.memory.closed) return;
    const storage = this.#own(x);
    storage.freed = true;
    this.#device.release(storage.block);
    this.memory.freed(4 * storage.size);
  }

  fill(size: number, value: number, dtype: DType): Storage {
    const y = this.#make('fill', size, dtype);
    return this.#run(fillSource(size), [], [value], y);
  }

  unary(op: UnaryOp, x: Storage, alpha: number, beta: number): Storage {
    return this.#compute(unarySource(op, x.size), [x], unaryScalars(op, alpha, beta));
  }

  binary(op: BinaryOp, a: Storage, b: Storage, how: Broadcast): Storage {
    return this.#compute(binarySource(op, how), [a, b]);
  }

  reduce(op: ReduceOp, x: Storage, how: Reduction): Storage {
    let result = x;
    for (const source of this.#compileWgsl ? reduceWgsl(op, how) : reduceSources(op, how)) {
      const next = (of: Storage) => this.#compute(source, [of]);
      result = result === x ? next(x) : this.#consume(result, next);
    }
    return result;
  }

  permute(x: Storage, sizes: readonly number[], axes: readonly number[]): Storage {
    return this.#compute(permuteSource(sizes, axes), [x]);
  }

  slice(
    x: Storage,
    outer: number,
    axis: number,
    inner: number,
    start: number,
    length: number,
  ): Storage {
    return this.#compute(sliceSource(outer, axis, inner, start, length), [x]);
  }

  concat(
    parts: readonly Storage[],
    outer: number,
    lengths: readonly number[],
    inner: number,
  ): Storage {
    let result = parts[0]!;
    let length = lengths[0]!;
    if (parts.length === 1) return this.unary('affine', result, 1, 0);
    for (let i = 1; i < parts.length; i++) {
      const source = concatSource(outer, length, lengths[i]!, inner);
      const next = (joined: Storage) => this.#compute(source, [joined, parts[i]!]);
      result = i === 1 ? next(result) : this.#consume(result, next);
      length += lengths[i]!;
    }
    return result;
  }

  matmul(a: Storage, b: Storage, g: MatmulGeometry): Storage {
    return this.#compute(this.#compileWgsl ? matmulWgsl(g) : matmulSource(g), [a, b]);
  }

  conv(
    x: Storage,
    w: Storage,
    bias: Storage | undefined,
    activation: ConvActivation,
    g: ConvGeometry,
  ): Storage {
    const write = this.#compileWgsl ? convWgsl : convSource;
    const inputs = bias ? [x, w, bias] : [x, w];
    return this.#compute(write(bias !== undefined, activation, g), inputs);
  }

  convInputGrad(dy: Storage, w: Storage, relu: Storage | undefined, g: ConvGeometry): Storage {
    const write = this.#compileWgsl ? convInputGradWgsl : convInputGradSource;
    return this.#compute(write(g, relu !== undefined), relu ? [dy, w, relu] : [dy, w]);
  }

  convFilterGrad(x: Storage, dy: Storage, g: ConvGeometry): Storage {
    const size = g.outputChannels * g.inputChannels * g.kernel.reduce((a, b) => a * b, 1);
    const positions = g.output.reduce((a, b) => a * b, 1);
    const split = g.batch > 1 && size < BUSY && positions >= WORTH_SPLITTING;
    const parts = this.#compileWgsl ? filterGradParts(g) : split ? g.batch : 1;
    const source = this.#compileWgsl
      ? convFilterGradWgsl(g, parts)
      : convFilterGradSource(g, parts > 1);
    const each = this.#compute(source, [x, dy]);
    if (parts === 1) return each;
    const overParts = { sizes: [parts, size], reduced: [true, false] };
    return this.#consume(each, () => this.reduce('sum', each, overParts));
  }

  accumulate(target: Storage, x: Storage, alpha: number): void {
    if (this.#compileWgsl && target !== x) {
      this.#launch(accumulateInPlace, [x], [target], [alpha]);
    } else {
      this.#update(target, accumulateSource(target.size), [target, x], [alpha]);
    }
  }

  assign(target: Storage, x: Storage): void {
    if (target === x) return;
    if (this.#compileWgsl) this.#launch(assignInPlace, [x], [target]);
    else this.#update(target, unarySource('affine', target.size), [x], [1, 0]);
  }

  adam(updates: readonly AdamUpdate[], settings: AdamSettings): void {
    for (const { target, m, v, grad } of updates)
      for (const x of [target, m, v, grad]) this.#own(x);
    if (this.#compileWgsl) this.#adamInPlace(updates, settings);
    else this.#adamByExchange(updates, settings);
  }

  /** As many tensors in one dispatch as a kernel may have arrays for, each of them once. */
  #adamInPlace(updates: readonly AdamUpdate[], settings: AdamSettings): void {
    const atOnce = Math.floor(this.#device.maxArrays / 4);
    const some: AdamUpdate[] = [];
    const changed = new Set<Storage>();
    for (const update of updates) {
      const { target, m, v, grad } = update;
      if (some.length === atOnce || [target, m, v, grad].some((x) => changed.has(x))) {
        this.#adamOf(some, settings);
        some.length = 0;
        changed.clear();
      }
      some.push(update);
      for (const x of [target, m, v]) changed.add(x);
    }
    if (some.length > 0) this.#adamOf(some, settings);
  }

  #adamOf(some: readonly AdamUpdate[], settings: AdamSettings): void {
    const { learningRate, beta1, beta2, epsilon, gradientScale, targetScale = 1 } = settings;
    this.#launch(
      adamInPlace(some.length),
      some.map(({ grad }) => grad),
      some.flatMap(({ target, m, v }) => [target, m, v]),
      [
        ...[beta1, 1 - beta1, beta2, 1 - beta2, gradientScale, epsilon, targetScale, 0],
        ...some.flatMap(({ step }) => [
          learningRate / (1 - beta1 ** step),
          1 / (1 - beta2 ** step),
          0,
          0,
        ]),
      ],
    );
  }

  #adamByExchange(updates: readonly AdamUpdate[], settings: AdamSettings): void {
    const { learningRate, beta1, beta2, epsilon, gradientScale, targetScale = 1 } = settings;
    // Each update needs room beside what it changes: for the largest, before any has changed anything.
    const largest = updates.reduce((most, { target }) => Math.max(most, target.size), 1);
    this.free(this.#make('adam', largest));
    for (const { target, m, v, grad, step } of updates) {
      const { size } = target;
      this.#update(m, firstMomentSource(size), [m, grad], [beta1, (1 - beta1) * gradientScale]);
      this.#update(v, secondMomentSource(size), [v, grad], [beta2, 1 - beta2, gradientScale]);
      this.#update(
        target,
        adamStepSource(size),
        [target, m, v],
        [learningRate / (1 - beta1 ** step), 1 / (1 - beta2 ** step), epsilon, targetScale],
      );
    }
  }

  #compute(
    source: KernelSource | SizedSource,
    inputs: readonly Storage[],
    scalars: readonly number[] = [],
  ): Storage {
    const cells = inputs.map((x) => this.#own(x));
    return this.#run(source, cells, scalars, this.#make(source.op, source.size));
  }

  #run(
    source: KernelSource | SizedSource,
    inputs: readonly GpuStorage[],
    scalars: readonly number[],
    output: GpuStorage,
  ): GpuStorage {
    return this.#filled(output, () => {
      this.#device.run(this.#kernel(source), inputs, scalars, [output]);
    });
  }

  /** What was made, once it is filled; freed when that throws. */
  #filled(made: GpuStorage, fill: () => void): GpuStorage {
    try {
      fill();
      return made;
    } catch (error) {
      this.free(made);
      throw error;
    }
  }

  /** What comes of an intermediate result, which is freed then, also when that throws. */
  #consume(made: Storage, use: (made: Storage) => Storage): Storage {
    try {
      return use(made);
    } finally {
      this.free(made);
    }
  }

  /** target ← the kernel's result. A kernel cannot write what it reads, so the blocks change places. */
  #update(
    target: Storage,
    source: KernelSource,
    inputs: readonly Storage[],
    scalars: readonly number[],
  ): void {
    const cell = this.#own(target);
    const result = this.#compute(source, inputs, scalars) as GpuStorage;
    [cell.block, result.block] = [result.block, cell.block];
    cell.error = result.error;
    this.free(result);
  }

  /** A kernel that writes to storages which are there, and may read them as well. */
  #launch(
    source: WgslSource,
    reads: readonly Storage[],
    writes: readonly Storage[],
    scalars: readonly number[] = [],
  ): void {
    const [inputs, outputs] = [reads, writes].map((some) => some.map((x) => this.#own(x)));
    this.#device.run(this.#kernel(source), inputs!, scalars, outputs!);
  }

  /** What `make` gave while `f` ran is freed where that throws. */
  #making<T>(op: string, f: (make: (size: number) => Storage) => T): T {
    const made: GpuStorage[] = [];
    try {
      return f((size) => {
        const storage = this.#make(op, size);
        made.push(storage);
        return storage;
      });
    } catch (error) {
      for (const storage of made) if (!storage.freed) this.free(storage);
      throw error;
    }
  }

  #kernel(source: KernelSource | WgslSource): Kernel {
    let kernel = this.#kernels.get(source.key);
    if (!kernel) {
      kernel = 'wgsl' in source ? this.#compileWgsl!(source) : this.#device.compile(source);
      this.#kernels.set(source.key, kernel);
    }
    return kernel;
  }

  #make(op: string, size: number, dtype: DType = 'float32'): GpuStorage {
    if (dtype !== 'float32') {
      throw new DTypeError(`${op}: the gpu backend has float32 only, got ${dtype}.`);
    }
    this.memory.requireOpen(this.name);
    const bytes = 4 * size;
    // First what one tensor may have, then what all may.
    requireRoom(`${op} in one tensor (${this.#device.mode})`, bytes, 0, this.maxTensorBytes);
    const { maxBytes = Number.POSITIVE_INFINITY } = this.#options;
    requireRoom(op, bytes, this.memory.info().liveBytes, maxBytes);
    const block = this.#device.allocate(Math.ceil(size / 4));
    this.memory.allocated(bytes);
    return new GpuStorage(this, size, block);
  }

  #own(x: Storage): GpuStorage {
    this.memory.requireOpen(this.name);
    if (!(x instanceof GpuStorage) || x.owner !== this || x.freed) {
      throw new BackendError(
        'gpu: got a storage of another backend, or one that was freed. Tensors stay on the backend ' +
          'that they were made on.',
      );
    }
    return x;
  }
}
