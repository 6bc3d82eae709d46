/** What checks leave behind, also when what they check throws: nothing. */
import { Flag, type Module, namedBuffers, type Parameter, zeroGrad } from '@invnet/layers';
import { clone, collectTensors, type Tensor, tidy } from '@invnet/tensor';

/** Tensors that are freed at the end. */
export class Made implements Disposable {
  readonly #tensors = new Set<Tensor>();

  /** Takes over all tensors in a value, and returns it. */
  own<T>(value: T): T {
    collectTensors(value, this.#tensors);
    return value;
  }

  [Symbol.dispose](): void {
    for (const t of this.#tensors) t.dispose();
  }
}

/** Frees all tensors in a value. */
export function disposeTensors(value: unknown): void {
  using made = new Made();
  made.own(value);
}

/** Brings a module back at the end: parameters with the numbers that they had, and no gradients. */
export class Restored implements Disposable {
  readonly #parameters: readonly Parameter[];
  readonly #numbers: readonly Tensor[];
  readonly #frozen: readonly boolean[];
  readonly #flags: readonly (readonly [Flag, boolean])[];

  constructor(module: Module) {
    const { parameters } = module;
    this.#parameters = parameters;
    this.#numbers = tidy(() => parameters.map((p) => clone(p.data)));
    this.#frozen = parameters.map((p) => p.frozen);
    // Parameters are moved and put back, which is no initialization.
    const flags = [...namedBuffers(module).values()].filter((b) => b instanceof Flag);
    this.#flags = flags.map((flag) => [flag, flag.value]);
  }

  [Symbol.dispose](): void {
    zeroGrad(this.#parameters);
    this.#parameters.forEach((p, i) => {
      p.data.swap(this.#numbers[i]!);
      p.frozen = this.#frozen[i]!;
    });
    for (const [flag, value] of this.#flags) flag.value = value;
    for (const t of this.#numbers) t.dispose();
  }
}
