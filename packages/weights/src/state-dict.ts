/**
 * The state dict of another library as it is read and written: numbers by names with dots. A reader
 * notes what it was asked for, so that nothing in a file is passed over in silence.
 */
import {
  formatShape,
  formatValue,
  InvNetError,
  type Shape,
  sizeOf,
  ValueError,
} from '@invnet/tensor';
import { type HostTensor, readSafetensors, writeSafetensors } from '@invnet/train';

/** The bytes of a safetensors file, or the tensors of one, by name. */
export type WeightsSource = Uint8Array | ReadonlyMap<string, HostTensor>;

/**
 * Weights that cannot become a network here, or a network that cannot become theirs. The message names
 * the tensor or the layer, what it is, and what was expected.
 */
export class WeightsError extends InvNetError {
  override name = 'WeightsError';
  /** The tensor, the module of the other library, or the layer here that it is about. */
  readonly key: string;

  constructor(message: string, key: string) {
    super(message);
    this.key = key;
  }
}

/** All tensors of a file whose names begin with a prefix. */
export class Section {
  readonly #op: string;
  readonly #tensors: ReadonlyMap<string, HostTensor>;
  readonly #used: Set<string>;
  readonly #prefix: string;

  private constructor(
    op: string,
    tensors: ReadonlyMap<string, HostTensor>,
    used: Set<string>,
    prefix: string,
  ) {
    this.#op = op;
    this.#tensors = tensors;
    this.#used = used;
    this.#prefix = prefix;
  }

  /** All of a file. @throws ValueError for what is none; SafetensorsFormatError as its reader. */
  static of(op: string, source: WeightsSource): Section {
    if (source instanceof Map) {
      for (const [name, tensor] of source) requireHostTensor(op, name, tensor);
      return new Section(op, source, new Set(), '');
    }
    if (!(source instanceof Uint8Array)) {
      throw new ValueError(
        `${op}: got ${formatValue(source)}; expected the bytes of a safetensors file as a Uint8Array, or a Map of its tensors.`,
      );
    }
    return new Section(op, readSafetensors(source).tensors, new Set(), '');
  }

  /** What begins with one more name. */
  at(name: string): Section {
    return new Section(this.#op, this.#tensors, this.#used, `${this.key(name)}.`);
  }

  /** A name in full; without one, that of the section itself. */
  key(name = ''): string {
    return name === '' ? this.#prefix.replace(/\.$/, '') : this.#prefix + name;
  }

  /** Is there a tensor of this name, or one whose name begins so? */
  has(name: string): boolean {
    const key = this.key(name);
    return this.#tensors.has(key) || this.#keys().some((k) => k.startsWith(`${key}.`));
  }

  /** @throws WeightsError for a file of something else, with the names that it has. */
  require(name: string, what: string): void {
    if (!this.has(name)) this.fail(`has no ${name}, ${what}, but ${this.#near}`);
  }

  /** The first parts of the names, each once, in the order of the file. */
  get children(): readonly string[] {
    const prefix = this.#prefix.length;
    return [...new Set(this.#keys().map((k) => k.slice(prefix).split('.', 1)[0]!))];
  }

  /** Those of the children that are numbers, in order. */
  get indices(): readonly number[] {
    const numbers = this.children.filter((name) => /^\d+$/.test(name)).map(Number);
    return numbers.sort((a, b) => a - b);
  }

  shapeOf(name: string): Shape {
    return this.#tensor(name).shape;
  }

  /** The numbers of a tensor. @throws WeightsError for one that is missing, of another shape, or not finite. */
  numbers(name: string, shape?: Shape): Float64Array {
    const tensor = this.#tensor(name);
    if (shape && formatShape(shape) !== formatShape(tensor.shape)) {
      this.fail(`has the shape ${formatShape(tensor.shape)}; expected ${formatShape(shape)}`, name);
    }
    this.#used.add(this.key(name));
    const numbers = Float64Array.from(tensor.data);
    const bad = numbers.findIndex((v) => !Number.isFinite(v));
    if (bad >= 0) this.fail(`has ${numbers[bad]} at ${bad}; expected finite numbers`, name);
    return numbers;
  }

  /** Whole numbers, each from 0 to `below` at most once. */
  indicesOf(name: string, below: number): number[] {
    const numbers = [...this.numbers(name)];
    const once = new Set(numbers).size === numbers.length;
    if (once && numbers.every((v) => Number.isInteger(v) && v >= 0 && v < below)) return numbers;
    return this.fail(`is no list of different indices below ${below}`, name);
  }

  /** Notes that a tensor is not needed. */
  skip(name: string): void {
    this.#used.add(this.key(name));
  }

  /** @throws WeightsError when there are tensors, or `gaps`, that nobody asked for. */
  finish(gaps: Readonly<Record<string, string>> = {}): void {
    const unused = (keys: string[]) => keys.filter((key) => !this.#used.has(key));
    const [astray] = unused(Object.keys(gaps));
    if (astray !== undefined) {
      const problem = `gaps names '${astray}', which is no place of a list of modules`;
      throw new WeightsError(`${this.#op}: ${problem}.`, astray);
    }
    const left = unused(this.#keys());
    if (left.length === 0) return;
    const more = left.length > 3 ? ` and ${left.length - 3} more` : '';
    throw new WeightsError(
      `${this.#op}: does not know what to do with ${left.slice(0, 3).join(', ')}${more}; expected ` +
        'the state_dict of what the documentation lists, and nothing else.',
      left[0]!,
    );
  }

  fail(problem: string, name = ''): never {
    const key = this.key(name);
    throw new WeightsError(`${this.#op}: ${key === '' ? 'the file' : key} ${problem}.`, key);
  }

  #tensor(name: string): HostTensor {
    const tensor = this.#tensors.get(this.key(name));
    if (tensor) return tensor;
    return this.fail(`is missing; beside it are ${this.#near}`, name);
  }

  /** Names that are there, as examples. */
  get #near(): string {
    const names = this.children;
    if (names.length === 0) return 'none';
    return names.slice(0, 8).join(', ') + (names.length > 8 ? ', …' : '');
  }

  #keys(): string[] {
    return [...this.#tensors.keys()].filter((k) => k.startsWith(this.#prefix));
  }
}

/** A state dict that is being written. */
export class SectionWriter {
  readonly op: string;
  readonly #tensors: Map<string, HostTensor>;
  readonly #prefix: string;

  constructor(op: string, tensors = new Map<string, HostTensor>(), prefix = '') {
    this.op = op;
    this.#tensors = tensors;
    this.#prefix = prefix;
  }

  at(name: string): SectionWriter {
    return new SectionWriter(this.op, this.#tensors, `${this.#prefix}${name}.`);
  }

  set(name: string, shape: Shape, numbers: Iterable<number>): void {
    this.#tensors.set(this.#prefix + name, { shape, data: Float32Array.from(numbers) });
  }

  bytes(metadata: Readonly<Record<string, string>> = {}): Uint8Array<ArrayBuffer> {
    return writeSafetensors({ tensors: this.#tensors, metadata });
  }

  /** For a network that the other library cannot hold. */
  fail(problem: string): never {
    const key = this.#prefix.replace(/\.$/, '');
    throw new WeightsError(`${this.op}: ${key === '' ? 'the network' : key} ${problem}.`, key);
  }
}

function requireHostTensor(op: string, name: unknown, tensor: HostTensor): void {
  const shape: unknown = tensor?.shape;
  if (
    typeof name === 'string' &&
    Array.isArray(shape) &&
    shape.every((s) => Number.isSafeInteger(s) && s >= 0) &&
    ArrayBuffer.isView(tensor.data) &&
    tensor.data.length === sizeOf(shape)
  ) {
    return;
  }
  throw new ValueError(
    `${op}: ${formatValue(name)} is ${formatValue(tensor)}; expected tensors by name, ` +
      'as readSafetensors gives them.',
  );
}
