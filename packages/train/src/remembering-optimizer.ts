/**
 * What optimizers share that remember tensors of each parameter between updates: these are kept, saved and loaded.
 *
 * Left out: the rules by which parameters move.
 */
import { type Parameter, ParameterMap, requireParameters } from '@invnet/layers';
import { formatValue, keep, type Tensor, tidy, ValueError, zerosLike } from '@invnet/tensor';
import { CheckpointError, fitProblems, uploadLike } from './array-checks.ts';
import {
  type Optimizer,
  type OptimizerState,
  requireStepOptions,
  type StepOptions,
} from './optimizer.ts';
import type { HostTensor } from './safetensors.ts';

/** Of one parameter: tensors of its shape, and how often it was updated. */
export type Memory<Name extends string> = Readonly<Record<Name, Tensor>> & {
  /** Updates of this parameter so far: it may have been frozen while others moved. */
  step: number;
};

/** A parameter that an update moves: it is trained and has a gradient. */
export interface Moved<Name extends string> {
  readonly p: Parameter;
  readonly grad: Tensor;
  /** Zeros in its first update. */
  readonly memory: Memory<Name>;
}

/** An optimizer with a memory of each parameter, made in its first update. */
export abstract class RememberingOptimizer<Name extends string> implements Optimizer {
  abstract readonly name: string;
  readonly #optimizer: string;
  readonly #names: readonly Name[];
  readonly #memories = new ParameterMap<Memory<Name>>();

  /**
   * @param optimizer - What messages call it.
   * @param names - Of the tensors.
   */
  constructor(optimizer: string, names: readonly Name[]) {
    this.#optimizer = optimizer;
    this.#names = names;
  }

  /** Changes parameters and the tensors of their memories in place. When it throws, no new memories are left behind. */
  protected abstract move(moved: readonly Moved<Name>[], options: Required<StepOptions>): void;

  step(parameters: readonly Parameter[], options: StepOptions): void {
    requireParameters(`${this.#optimizer}.step`, parameters);
    const settings = requireStepOptions(`${this.#optimizer}.step`, options);
    const trained = parameters.flatMap((p) => (p.grad && !p.frozen ? [{ p, grad: p.grad }] : []));
    tidy(() => {
      const found = trained.map((one) => ({
        ...one,
        memory: this.#memories.get(one.p) ?? this.#made(() => zerosLike(one.p.data), 0),
      }));
      this.move(found, settings);
      for (const { p, memory } of found) {
        this.#remember(p, memory);
        memory.step += 1;
      }
    });
    for (const { p } of trained) p.changed();
  }

  /** For each parameter that was updated: each tensor as `<tensor>/<parameter>`, and the count `step/<parameter>`. */
  async state(parameters: readonly Parameter[]): Promise<OptimizerState> {
    requireParameters(`${this.#optimizer}.state`, parameters);
    // All are asked for before any is waited for, so that they are of one moment.
    const entries = parameters.flatMap((p) => {
      const memory = this.#memories.get(p);
      if (!memory) return [];
      return [
        ...this.#names.map((name) => ({
          name: `${name}/${p.name}`,
          shape: p.shape,
          data: memory[name].data(),
        })),
        {
          name: `step/${p.name}`,
          shape: [],
          data: Promise.resolve(Float64Array.of(memory.step)),
        },
      ];
    });
    const read = entries.map(
      async ({ name, shape, data }) => [name, { shape, data: await data }] as const,
    );
    return new Map<string, HostTensor>(await Promise.all(read));
  }

  load(state: OptimizerState, parameters: readonly Parameter[]): void {
    requireParameters(`${this.#optimizer}.load`, parameters);
    requireState(this.#optimizer, state);
    // A parameter without any entry was never updated; one with some entries must have all.
    const entries = [...this.#names, 'step'];
    const updated = parameters.filter((p) => entries.some((e) => state.has(`${e}/${p.name}`)));
    const expected = updated.flatMap((p) =>
      entries.map((e) => ({ name: `${e}/${p.name}`, shape: e === 'step' ? [] : p.shape })),
    );
    const problems = fitProblems(expected, state);
    if (problems.length > 0) {
      throw new CheckpointError(
        `${this.#optimizer}: the state does not fit: ${problems.join('; ')}.`,
      );
    }
    const loaded = tidy(() => updated.map((p) => this.#loaded(state, p)));
    for (const p of parameters) this.#forget(p);
    updated.forEach((p, i) => {
      this.#remember(p, loaded[i]!);
    });
  }

  dispose(): void {
    for (const p of [...this.#memories.keys()]) this.#forget(p);
  }

  #made(make: (name: Name) => Tensor, step: number): Memory<Name> {
    const tensors = Object.fromEntries(this.#names.map((name) => [name, make(name)]));
    return Object.assign(tensors as Record<Name, Tensor>, { step });
  }

  /** What a state that fits says of a parameter. */
  #loaded(state: OptimizerState, { name, data }: Parameter): Memory<Name> {
    const step = state.get(`step/${name}`)!.data[0]!;
    if (!Number.isSafeInteger(step) || step < 0) {
      throw new CheckpointError(
        `${this.#optimizer}: the state says that '${name}' was updated ${step} times; expected a whole number.`,
      );
    }
    return this.#made((of) => uploadLike(`${of}/${name}`, data, state.get(`${of}/${name}`)!), step);
  }

  #remember(p: Parameter, memory: Memory<Name>): void {
    for (const name of this.#names) keep(memory[name]);
    this.#memories.set(p, memory);
  }

  #forget(p: Parameter): void {
    const memory = this.#memories.get(p);
    if (memory) for (const name of this.#names) memory[name].dispose();
    this.#memories.delete(p);
  }
}

/** @throws ValueError unless a state is a map. */
export function requireState(optimizer: string, state: OptimizerState): void {
  if (state instanceof Map) return;
  throw new ValueError(
    `${optimizer}.load: the state is ${formatValue(state)}; expected a Map by name.`,
  );
}

/** @throws ValueError that says where a learning rate belongs. */
export function requireNoRate(optimizer: string, options: object): void {
  for (const name of ['learningRate', 'lr', 'rate']) {
    if (typeof options !== 'object' || options === null || !(name in options)) continue;
    throw new ValueError(
      `${optimizer}: got a learning rate, '${name}'; expected it as train's schedule, such as ` +
        'schedule: constant(1e-3), or with each step(parameters, { learningRate }).',
    );
  }
}
