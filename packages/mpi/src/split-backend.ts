/**
 * A backend on which every rank holds a slab of each volume: all primitives are another backend's, on
 * the slab, and convolutions fetch the rows of their neighbours that they need. No layer knows of it.
 * Mathematics: docs/math/mpi/halo-exchange.md
 *
 * Left out: what a network means. Sums over positions are the slab's share, which add up over ranks;
 * `requireLocal` refuses networks that do anything else across the split axis.
 */
import {
  type AdamSettings,
  type AdamUpdate,
  type Backend,
  BackendError,
  type BackendInfo,
  type BinaryOp,
  type Broadcast,
  type ConvActivation,
  type ConvGeometry,
  type DType,
  type FusedPasses,
  type MatmulGeometry,
  type MemoryAccount,
  type NumericArray,
  type ReduceOp,
  type Reduction,
  ShapeError,
  type Storage,
  sizeOf,
  type UnaryOp,
} from '@invnet/tensor';
import type { Communicator } from '@invnet/train';
import {
  type HaloConv,
  inputHalo,
  isPointwise,
  outputHalo,
  type RowsOfRank,
  transfers,
} from './halo.ts';
import type { Slabs } from './slabs.ts';

export class SplitBackend implements Backend {
  readonly name: string;
  readonly dtypes: readonly DType[];
  readonly memory: MemoryAccount;
  readonly maxTensorBytes: number;
  readonly fused?: FusedPasses;
  readonly view?: (x: Storage) => NumericArray;
  readonly #inner: Backend;
  readonly #communicator: Communicator;
  readonly #slabs: Slabs;
  #sentBytes = 0;

  constructor(inner: Backend, communicator: Communicator, slabs: Slabs) {
    this.#inner = inner;
    this.#communicator = communicator;
    this.#slabs = slabs;
    this.name = `split ${inner.name}`;
    this.dtypes = inner.dtypes;
    this.memory = inner.memory;
    this.maxTensorBytes = inner.maxTensorBytes;
    if (inner.fused) this.fused = inner.fused;
    if (inner.view) this.view = inner.view.bind(inner);
  }

  /** `sentBytes` of its details are those of all rows that this rank has sent so far. */
  info(): BackendInfo {
    const { axis, rank, sizes } = this.#slabs;
    const { details } = this.#inner.info();
    return {
      name: this.name,
      details: {
        ...details,
        axis,
        rank,
        slabs: sizes.join(', '),
        sentBytes: this.#sentBytes,
      },
    };
  }

  conv(
    x: Storage,
    w: Storage,
    bias: Storage | undefined,
    activation: ConvActivation,
    g: ConvGeometry,
  ): Storage {
    if (this.#runsAlone(g)) return this.#inner.conv(x, w, bias, activation, g);
    const halo = inputHalo(g, this.#slabs.index);
    return this.#withHalo(x, 'input', g, halo, (wide) =>
      this.#inner.conv(wide, w, bias, activation, halo.geometry),
    );
  }

  convInputGrad(dy: Storage, w: Storage, relu: Storage | undefined, g: ConvGeometry): Storage {
    if (this.#runsAlone(g)) return this.#inner.convInputGrad(dy, w, relu, g);
    const halo = outputHalo(g, this.#slabs.index);
    return this.#withHalo(dy, 'output', g, halo, (wide) =>
      this.#inner.convInputGrad(wide, w, relu, halo.geometry),
    );
  }

  /** This slab's share, as of all gradients of parameters: they add up over ranks. */
  convFilterGrad(x: Storage, dy: Storage, g: ConvGeometry): Storage {
    if (this.#runsAlone(g)) return this.#inner.convFilterGrad(x, dy, g);
    const halo = inputHalo(g, this.#slabs.index);
    return this.#withHalo(x, 'input', g, halo, (wide) =>
      this.#inner.convFilterGrad(wide, dy, halo.geometry),
    );
  }

  /** @throws BackendError for the largest over positions, of which a rank has some only. */
  reduce(op: ReduceOp, x: Storage, how: Reduction): Storage {
    if (op !== 'max' || how.reduced.at(-1) !== true) return this.#inner.reduce(op, x, how);
    throw new BackendError(
      `max: ${this.name} has a slab of each volume, so the largest over positions is not known here; ` +
        'expected sums over positions, or what is computed from what was gathered.',
    );
  }

  dispose(): void {
    this.#inner.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  upload(data: ArrayLike<number>, dtype: DType): Storage {
    return this.#inner.upload(data, dtype);
  }

  read(x: Storage): Promise<NumericArray> {
    return this.#inner.read(x);
  }

  readSync(x: Storage): NumericArray {
    return this.#inner.readSync(x);
  }

  free(x: Storage): void {
    this.#inner.free(x);
  }

  fill(size: number, value: number, dtype: DType): Storage {
    return this.#inner.fill(size, value, dtype);
  }

  unary(op: UnaryOp, x: Storage, alpha: number, beta: number): Storage {
    return this.#inner.unary(op, x, alpha, beta);
  }

  binary(op: BinaryOp, a: Storage, b: Storage, how: Broadcast): Storage {
    return this.#inner.binary(op, a, b, how);
  }

  permute(x: Storage, sizes: readonly number[], axes: readonly number[]): Storage {
    return this.#inner.permute(x, sizes, axes);
  }

  slice(
    x: Storage,
    outer: number,
    axis: number,
    inner: number,
    start: number,
    length: number,
  ): Storage {
    return this.#inner.slice(x, outer, axis, inner, start, length);
  }

  concat(
    parts: readonly Storage[],
    outer: number,
    lengths: readonly number[],
    inner: number,
  ): Storage {
    return this.#inner.concat(parts, outer, lengths, inner);
  }

  matmul(a: Storage, b: Storage, g: MatmulGeometry): Storage {
    return this.#inner.matmul(a, b, g);
  }

  accumulate(target: Storage, x: Storage, alpha: number): void {
    this.#inner.accumulate(target, x, alpha);
  }

  assign(target: Storage, x: Storage): void {
    this.#inner.assign(target, x);
  }

  adam(updates: readonly AdamUpdate[], settings: AdamSettings): void {
    this.#inner.adam(updates, settings);
  }

  /** Does a convolution need nothing from other ranks? */
  #runsAlone(g: ConvGeometry): boolean {
    return isPointwise(g) || this.#communicator.size === 1;
  }

  /**
   * Runs on x, the input or an output of g, with the rows of other ranks and of zeros around it. All ranks
   * know all slabs, so what is refused is refused on all of them, and nobody waits for rows in vain.
   */
  #withHalo(
    x: Storage,
    side: 'input' | 'output',
    g: ConvGeometry,
    halo: HaloConv,
    run: (wide: Storage) => Storage,
  ): Storage {
    this.#requireVolume(g);
    const { index, rank } = this.#slabs;
    const slabs = {
      input: this.#slabs.at(g.input[index]),
      output: this.#slabs.at(g.output[index]),
    };
    const plan = transfers(slabs[side], rank, halo);
    const sizes = g[side];
    const rows = sizes[index];
    const outer = g.batch * g[`${side}Channels`] * sizeOf(sizes.slice(0, index));
    const row = sizeOf(sizes.slice(index + 1));
    const empty = ({ rows }: RowsOfRank) => arrayOf(x.dtype, outer * rows * row);
    const [before, after] = [plan.before.map(empty), plan.after.map(empty)];
    const received = [...before, ...after];
    const send = plan.send.map(({ rank, start, rows: some }) => ({
      rank,
      numbers: this.#rowsOf(x, outer, rows, row, start, some),
    }));
    for (const { numbers } of send) this.#sentBytes += numbers.byteLength;
    this.#communicator.exchange({
      send,
      receive: [...plan.before, ...plan.after].map(({ rank }, i) => ({
        rank,
        numbers: received[i]!,
      })),
    });
    const made: Storage[] = [];
    const make = (storage: Storage) => {
      made.push(storage);
      return storage;
    };
    const zeros = (count: number) =>
      count > 0 ? [make(this.#inner.fill(outer * count * row, 0, x.dtype))] : [];
    const upload = (numbers: NumericArray) => make(this.#inner.upload(numbers, x.dtype));
    try {
      const parts = [
        ...zeros(halo.zerosBefore + plan.outsideBefore),
        ...before.map(upload),
        x,
        ...after.map(upload),
        ...zeros(plan.outsideAfter + halo.zerosAfter),
      ];
      if (parts.length === 1) return run(x);
      const lengths = parts.map(({ size }) => size / (outer * row));
      return run(make(this.#inner.concat(parts, outer, lengths, row)));
    } finally {
      for (const storage of made) this.#inner.free(storage);
    }
  }

  /** @throws ShapeError for a convolution of data with other axes, where the split one is not where it is looked for. */
  #requireVolume({ input, kernel }: ConvGeometry): void {
    const { axis, index, ndims } = this.#slabs;
    const others = [0, 1, 2].slice(0, 3 - ndims);
    const alone = input[index] === 1 && kernel[index] === 1;
    if (!alone && others.every((i) => input[i] === 1)) return;
    const sizes = input.join(' × ');
    throw new ShapeError(
      `split: a convolution of ${sizes} rows is none of volumes of ${ndims} spatial axes whose axis ${axis} is ` +
        'split; expected data of the `ndims` that the split was made with.',
    );
  }

  /** Some rows of x, on the host. */
  #rowsOf(
    x: Storage,
    outer: number,
    rows: number,
    row: number,
    start: number,
    some: number,
  ): NumericArray {
    const part = this.#inner.slice(x, outer, rows, row, start, some);
    try {
      return this.#inner.readSync(part);
    } finally {
      this.#inner.free(part);
    }
  }
}

export function arrayOf(dtype: DType, size: number): NumericArray {
  return dtype === 'float64' ? new Float64Array(size) : new Float32Array(size);
}
