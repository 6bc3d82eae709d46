/** Trainable tensors with their gradients. */
import {
  accumulate,
  assign,
  formatValue,
  keep,
  requireBoolean,
  requireFunction,
  requireList,
  requireOptions,
  requireSameShape,
  requireTensor,
  type Shape,
  type Tensor,
  ValueError,
  zerosLike,
} from '@invnet/tensor';
import { own } from './construction.ts';

/** Numbers, gradient and state of a parameter, whatever name it is seen under. */
interface Cell {
  readonly data: Tensor;
  grad: Tensor | undefined;
  frozen: boolean;
  readonly onChange: (() => void) | undefined;
  onGrad: (() => void) | undefined;
  /** The parameter as its own module holds it. */
  readonly identity: Parameter;
}

/** How a parameter starts. */
export interface ParameterOptions {
  /** Default: false. */
  readonly frozen?: boolean;
  /** Called when numbers are assigned or updated, as data-dependent initialization wants to know. */
  readonly onChange?: () => void;
}

/**
 * A named tensor that is trained. Gradients accumulate: a block that is used twice gets the sum.
 *
 * Its module holds it under a name of its own, such as `w1`. `network.parameters` shows it under the
 * path from that network, `scales.0.steps.3.coupling.conditioner.w1`: another name of the same
 * parameter, with one `data`, one `grad`, and one `identity`.
 *
 * @example
 * const w = new Parameter('w', zeros([4, 4]));
 * w.accumulateGrad(dw); // grad ← grad + dw
 * w.zeroGrad();
 */
export class Parameter {
  /** The path from the module that was asked; without dots where it was made. */
  readonly name: string;
  readonly #cell: Cell;

  /** Takes over `data`. Given a parameter instead, it is another name of that one. */
  constructor(name: string, data: Tensor | Parameter, options: ParameterOptions = {}) {
    if (typeof name !== 'string') {
      throw new ValueError(`Parameter: the name is ${formatValue(name)}; expected a text.`);
    }
    requireOptions('Parameter', options, ['frozen', 'onChange']);
    const { frozen = false, onChange } = options;
    requireBoolean('Parameter', 'frozen', frozen);
    if (onChange !== undefined) requireFunction('Parameter', 'onChange', onChange);
    this.name = name;
    this.#cell =
      data instanceof Parameter
        ? data.#cell
        : {
            data: own(requireTensor('Parameter', data, 'data')),
            grad: undefined,
            frozen,
            onChange,
            onGrad: undefined,
            identity: this,
          };
  }

  /** One object for all names of a parameter: compare parameters by it. */
  get identity(): Parameter {
    return this.#cell.identity;
  }

  /** The numbers; owned by the parameter and updated in place. */
  get data(): Tensor {
    return this.#cell.data;
  }

  /** A frozen parameter gathers no gradient and is not trained. */
  get frozen(): boolean {
    return this.#cell.frozen;
  }

  set frozen(on: boolean) {
    requireBoolean(this.name, 'frozen', on);
    this.#cell.frozen = on;
  }

  get shape(): Shape {
    return this.data.shape;
  }

  get size(): number {
    return this.data.size;
  }

  /** ∂loss/∂data summed over all backward calls since `zeroGrad`; undefined before the first. */
  get grad(): Tensor | undefined {
    return this.#cell.grad;
  }

  /** grad ← grad + alpha·g; nothing for a frozen parameter. Does not dispose g. */
  accumulateGrad(g: Tensor, alpha = 1): void {
    if (this.frozen) return;
    requireTensor('Parameter.accumulateGrad', g);
    if (g.size !== this.size) requireSameShape(`gradient of '${this.name}'`, this.data, g);
    this.#cell.grad ??= keep(zerosLike(this.data));
    accumulate(this.#cell.grad, g, alpha);
    this.#cell.onGrad?.();
  }

  /** As `accumulateGrad(g)`, and takes g over: it is freed, or becomes the gradient. */
  takeGrad(g: Tensor): void {
    if (!this.frozen && !this.grad) {
      this.attachGrad(g);
      return;
    }
    this.accumulateGrad(g);
    g.dispose();
  }

  /** Hands the gradient over to the caller, and leaves none. */
  detachGrad(): Tensor | undefined {
    const { grad } = this;
    this.#cell.grad = undefined;
    return grad;
  }

  /** Takes over a gradient in place of its own. @throws ShapeError */
  attachGrad(grad: Tensor): void {
    requireSameShape(`gradient of '${this.name}'`, this.data, grad);
    this.zeroGrad();
    this.#cell.grad = keep(grad);
    this.#cell.onGrad?.();
  }

  /**
   * From now on calls `listener` whenever something was added to the gradient, in place of the listener
   * before; undefined ends that. By this `train` sums gradients over processes while backward goes on.
   */
  watchGrad(listener: (() => void) | undefined): void {
    if (listener !== undefined) requireFunction(this.name, 'the listener', listener);
    this.#cell.onGrad = listener;
  }

  /** Clears the gradient and frees its memory. */
  zeroGrad(): void {
    this.grad?.dispose();
    this.#cell.grad = undefined;
  }

  /** Copies a tensor of the same shape in. @throws ShapeError */
  assign(values: Tensor): void {
    assign(this.data, values);
    this.changed();
  }

  /** Tells that `data` was changed in place, as optimizers do after an update. */
  changed(): void {
    this.#cell.onChange?.();
  }

  dispose(): void {
    this.zeroGrad();
    this.data.dispose();
  }
}

/**
 * Values by parameter, whatever name a parameter is looked up by; iterating gives parameters under
 * the names that their own modules have for them.
 */
export class ParameterMap<T> extends Map<Parameter, T> {
  override get(p: Parameter): T | undefined {
    return super.get(p?.identity);
  }

  override has(p: Parameter): boolean {
    return super.has(p?.identity);
  }

  override set(p: Parameter, value: T): this {
    if (p instanceof Parameter) return super.set(p.identity, value);
    throw new ValueError(`ParameterMap: got ${formatValue(p)} for a key; expected a Parameter.`);
  }

  override delete(p: Parameter): boolean {
    return super.delete(p?.identity);
  }
}

/** @throws ValueError unless it is a list of parameters, each once. */
export function requireParameters(op: string, parameters: readonly Parameter[]): void {
  requireList(op, 'parameters', parameters, 'a list, such as network.parameters');
  const seen = new Set<Parameter>();
  for (const p of parameters) {
    if (!(p instanceof Parameter)) {
      throw new ValueError(
        `${op}: got ${formatValue(p)} among the parameters; expected Parameters, such as ` +
          'network.parameters.',
      );
    }
    if (seen.has(p.identity)) {
      throw new ValueError(`${op}: parameter '${p.name}' is in the list twice; expected it once.`);
    }
    seen.add(p.identity);
  }
}

/** Clears all gradients. */
export function zeroGrad(parameters: readonly Parameter[]): void {
  requireParameters('zeroGrad', parameters);
  for (const p of parameters) p.zeroGrad();
}
