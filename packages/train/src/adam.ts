/**
 * Adam (Kingma and Ba, "Adam: a method for stochastic optimization", 2015).
 * Mathematics: docs/math/train/adam.md
 */
import { type Parameter, ParameterMap, requireParameters } from '@invnet/layers';
import {
  adamUpdate,
  formatValue,
  keep,
  requireFinite,
  requireOptions,
  type Tensor,
  tidy,
  ValueError,
  zerosLike,
} from '@invnet/tensor';
import { CheckpointError, fitProblems, uploadLike } from './fit.ts';
import type { Optimizer, OptimizerState, StepOptions } from './optimizer.ts';
import type { HostTensor } from './safetensors.ts';

/** The constants of Adam. */
export interface AdamOptions {
  /** Decay of the mean of gradients, in [0, 1). Default: 0.9. */
  readonly beta1?: number;
  /** Decay of the mean of squared gradients, in [0, 1). Default: 0.999. */
  readonly beta2?: number;
  /** Keeps the divisor away from 0. Default: 1e-8. */
  readonly epsilon?: number;
}

interface Moments {
  readonly m: Tensor;
  readonly v: Tensor;
  /** Updates of this parameter so far: it may have been frozen while others moved. */
  step: number;
}

/**
 * Adam: m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², and in update t
 * p ← p − rate · (m/(1 − β₁ᵗ)) / (√(v/(1 − β₂ᵗ)) + ε). The moments m and v of a parameter are made
 * in its first update and take twice its memory.
 *
 * @example
 * const optimizer = new Adam({ beta2: 0.99 });
 * optimizer.step(network.parameters, { learningRate: 1e-3 });
 */
export class Adam implements Optimizer {
  readonly name = 'adam';
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly #moments = new ParameterMap<Moments>();

  /** @throws ValueError for constants out of range, or a learning rate, which goes with each step. */
  constructor(options: AdamOptions = {}) {
    requireNoRate(options);
    requireOptions('Adam', options, ['beta1', 'beta2', 'epsilon']);
    const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options;
    for (const [name, value] of Object.entries({ beta1, beta2, epsilon })) {
      requireFinite('Adam', name, value);
    }
    if (!(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1 && epsilon > 0)) {
      throw new ValueError(
        `Adam: beta1 ${beta1}, beta2 ${beta2}, epsilon ${epsilon}; expected the betas in [0, 1) ` +
          'and epsilon above 0.',
      );
    }
    this.beta1 = beta1;
    this.beta2 = beta2;
    this.epsilon = epsilon;
  }

  step(parameters: readonly Parameter[], options: StepOptions): void {
    requireParameters('Adam.step', parameters);
    requireOptions('Adam.step', options, ['learningRate', 'gradientScale']);
    const { learningRate, gradientScale = 1 } = options;
    requireFinite('Adam.step', 'learningRate', learningRate);
    requireFinite('Adam.step', 'gradientScale', gradientScale);
    const { beta1, beta2, epsilon } = this;
    const moved = new ParameterMap<Moments>();
    // What fails leaves no moments of some parameters behind.
    tidy(() => {
      const updates = parameters.flatMap((p) => {
        const { grad, frozen } = p;
        if (!grad || frozen) return [];
        const moments = moved.get(p) ?? this.#moments.get(p) ?? startOf(p);
        moved.set(p, moments);
        return [{ ...moments, step: moments.step + 1, target: p.data, grad }];
      });
      adamUpdate(updates, { learningRate, beta1, beta2, epsilon, gradientScale });
      for (const [p, moments] of moved) this.#remember(p, moments);
    });
    for (const [p, moments] of moved) {
      moments.step += 1;
      p.changed();
    }
  }

  /** For each parameter that was updated: `m/<name>`, `v/<name>` and the count `step/<name>`. */
  async state(parameters: readonly Parameter[]): Promise<OptimizerState> {
    requireParameters('Adam.state', parameters);
    // All are asked for before any is waited for, so that they are of one moment.
    const entries = parameters.flatMap((p) => {
      const moments = this.#moments.get(p);
      if (!moments) return [];
      const { m, v, step } = moments;
      return [
        { name: `m/${p.name}`, shape: p.shape, data: m.data() },
        { name: `v/${p.name}`, shape: p.shape, data: v.data() },
        { name: `step/${p.name}`, shape: [], data: Promise.resolve(Float64Array.of(step)) },
      ];
    });
    const read = entries.map(
      async ({ name, shape, data }) => [name, { shape, data: await data }] as const,
    );
    return new Map<string, HostTensor>(await Promise.all(read));
  }

  load(state: OptimizerState, parameters: readonly Parameter[]): void {
    requireParameters('Adam.load', parameters);
    if (!(state instanceof Map)) {
      throw new ValueError(
        `Adam.load: the state is ${formatValue(state)}; expected a Map by name.`,
      );
    }
    // A parameter without any entry was never updated; one with some entries must have all.
    const updated = parameters.filter((p) => entries.some((e) => state.has(`${e}/${p.name}`)));
    const expected = updated.flatMap((p) =>
      entries.map((e) => ({ name: `${e}/${p.name}`, shape: e === 'step' ? [] : p.shape })),
    );
    const problems = fitProblems(expected, state);
    if (problems.length > 0) {
      throw new CheckpointError(`Adam: the state does not fit: ${problems.join('; ')}.`);
    }
    const loaded = tidy(() => updated.map((p) => momentsIn(state, p)));
    for (const p of parameters) this.#forget(p);
    updated.forEach((p, i) => {
      this.#remember(p, loaded[i]!);
    });
  }

  dispose(): void {
    for (const p of [...this.#moments.keys()]) this.#forget(p);
  }

  #remember(p: Parameter, moments: Moments): void {
    keep(moments.m);
    keep(moments.v);
    this.#moments.set(p, moments);
  }

  #forget(p: Parameter): void {
    const moments = this.#moments.get(p);
    moments?.m.dispose();
    moments?.v.dispose();
    this.#moments.delete(p);
  }
}

const entries = ['m', 'v', 'step'] as const;

/** Moments of a parameter that was never updated. */
function startOf({ data }: Parameter): Moments {
  return { m: zerosLike(data), v: zerosLike(data), step: 0 };
}

/** What a state that fits says of a parameter. */
function momentsIn(state: OptimizerState, { name, data }: Parameter): Moments {
  const step = state.get(`step/${name}`)!.data[0]!;
  if (!Number.isSafeInteger(step) || step < 0) {
    throw new CheckpointError(
      `Adam: the state says that '${name}' was updated ${step} times; expected a whole number.`,
    );
  }
  return {
    m: uploadLike(`m/${name}`, data, state.get(`m/${name}`)!),
    v: uploadLike(`v/${name}`, data, state.get(`v/${name}`)!),
    step,
  };
}

/** @throws ValueError that says where a learning rate belongs. */
function requireNoRate(options: object): void {
  for (const name of ['learningRate', 'lr', 'rate']) {
    if (typeof options !== 'object' || options === null || !(name in options)) continue;
    throw new ValueError(
      `Adam: got a learning rate, '${name}'; expected it as train's schedule, such as ` +
        'schedule: constant(1e-3), or with each step(parameters, { learningRate }).',
    );
  }
}
