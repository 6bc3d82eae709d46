/** What a module remembers beside its parameters: saved with them, but not trained. */
import {
  assign,
  formatShape,
  formatValue,
  type NumericArray,
  requireBoolean,
  requireTensor,
  requireWhole,
  type Shape,
  ShapeError,
  sizeOf,
  type Tensor,
  tensor,
  ValueError,
} from '@invnet/tensor';
import { own } from './construction.ts';
import { requireName } from './path.ts';

/** A named piece of a module's memory; its numbers go into files beside the parameters'. */
export abstract class ModuleBuffer {
  /** Its name in the module, without dots. */
  readonly name: string;
  abstract readonly shape: Shape;

  constructor(name: string) {
    requireName('buffer', name);
    this.name = name;
  }

  /** The numbers, in a copy. */
  abstract read(): Promise<NumericArray>;
  /** Replaces the numbers. @throws ShapeError unless as many are given as the shape holds. */
  abstract write(values: NumericArray): void;
  abstract dispose(): void;
}

/** Numbers on the backend, such as running statistics. */
export class TensorBuffer extends ModuleBuffer {
  /** Owned by the buffer and updated in place. */
  readonly data: Tensor;

  /** Takes over `data`. */
  constructor(name: string, data: Tensor) {
    super(name);
    this.data = own(requireTensor('TensorBuffer', data, 'data'));
  }

  get shape(): Shape {
    return this.data.shape;
  }

  read(): Promise<NumericArray> {
    return this.data.data();
  }

  write(values: NumericArray): void {
    requireSize(this, values);
    using numbers = tensor(values, this.shape, this.data);
    this.assign(numbers);
  }

  /** Copies a tensor of the same shape in. @throws ShapeError */
  assign(values: Tensor): void {
    assign(this.data, values);
  }

  dispose(): void {
    this.data.dispose();
  }
}

/** Yes or no, known to the host; 1 or 0 in a file. */
export class Flag extends ModuleBuffer {
  value: boolean;

  constructor(name: string, value: boolean) {
    super(name);
    requireBoolean('Flag', name, value);
    this.value = value;
  }

  get shape(): Shape {
    return [];
  }

  read(): Promise<NumericArray> {
    return Promise.resolve(Float32Array.of(this.value ? 1 : 0));
  }

  write(values: NumericArray): void {
    requireSize(this, values);
    this.value = values[0] !== 0;
  }

  dispose(): void {}
}

/** A number that counts up from 0, known to the host; whole, and below 2²⁴, so that a file holds it exactly. */
export class Counter extends ModuleBuffer {
  #value = 0;

  get value(): number {
    return this.#value;
  }

  /** @throws ValueError unless it is a whole number from 0 to 2²⁴ − 1. */
  set value(value: number) {
    requireWhole('Counter', this.name, value, 0, 2 ** 24 - 1);
    this.#value = value;
  }

  get shape(): Shape {
    return [];
  }

  /** Counts on; behind the largest number comes 0. */
  advance(): void {
    this.#value = (this.#value + 1) % 2 ** 24;
  }

  read(): Promise<NumericArray> {
    return Promise.resolve(Float32Array.of(this.#value));
  }

  write(values: NumericArray): void {
    requireSize(this, values);
    this.value = values[0]!;
  }

  dispose(): void {}
}

function requireSize(buffer: ModuleBuffer, values: NumericArray): void {
  if (!Array.isArray(values) && !ArrayBuffer.isView(values)) {
    throw new ValueError(
      `'${buffer.name}': got ${formatValue(values)}; expected an array of numbers.`,
    );
  }
  const size = sizeOf(buffer.shape);
  if (values.length === size) return;
  throw new ShapeError(
    `'${buffer.name}': got ${values.length} numbers; expected ${size}, of shape ` +
      `${formatShape(buffer.shape)}.`,
  );
}
