/**
 * Checkpoints of a fit: the flow as it will be given back, so that the file is a model too, with the optimizer's state, the
 * best weights, the averages, and the fit's own state beside it.
 */
import type { Flow } from '@invnet/flows';
import type { Json, Parameter } from '@invnet/layers';
import { CheckpointError } from '../array-checks.ts';
import { restoreCheckpoint } from '../checkpoint.ts';
import { saveCheckpoint } from '../checkpoint-file.ts';
import type { Communicator } from '../communicator.ts';
import { readWhole } from '../file.ts';
import { modelInfo } from '../model.ts';
import { nodeModule } from '../node.ts';
import type { Optimizer, OptimizerState, StepOptions } from '../optimizer.ts';
import { readShared, saveSharedCheckpoint } from '../shared-checkpoint.ts';
import type { BestWeights } from './best-weights.ts';
import { type FitState, stateOfText, stateText } from './fit-state.ts';
import type { WeightAverage } from './weight-average.ts';

/** What of a fit has arrays. */
export interface FitArrays {
  readonly flow: Flow;
  readonly optimizer: Optimizer;
  readonly best: BestWeights;
  readonly average: WeightAverage | undefined;
}

/** Where a fit's checkpoint is, and what it must have in common with the fit that goes on from it. */
export class FitCheckpoint {
  readonly #path: string;
  readonly #communicator: Communicator | undefined;
  readonly #setup: Readonly<Record<string, Json>>;

  constructor(
    path: string,
    communicator: Communicator | undefined,
    setup: Readonly<Record<string, Json>>,
  ) {
    this.#path = path;
    this.#communicator = communicator;
    this.#setup = setup;
  }

  /** @throws CheckpointError when it cannot be written; what was there is untouched. */
  async save(arrays: FitArrays, state: FitState): Promise<void> {
    const metadata = { fit: stateText(state), setup: JSON.stringify(this.#setup) };
    const source = {
      parameters: arrays.flow.parameters,
      optimizer: new FitMemory(arrays),
      metadata,
    };
    if (this.#communicator) await saveSharedCheckpoint(this.#communicator, this.#path, source);
    else await saveCheckpoint(this.#path, source);
  }

  /** Is there one? */
  async exists(): Promise<boolean> {
    const { access } = nodeModule('node:fs/promises', 'fit');
    const found = await access(this.#path).then(
      () => true,
      () => false,
    );
    return this.#communicator ? this.#communicator.gather(found)[0]! : found;
  }

  /** Loads all arrays, and gives the state. @throws CheckpointError when it does not fit this fit. */
  async load(arrays: FitArrays): Promise<FitState> {
    const bytes = this.#communicator
      ? await readShared('fit', this.#communicator, this.#path)
      : await readWhole('fit', this.#path);
    // Before anything is loaded.
    const { fit, setup } = modelInfo(bytes, this.#path).metadata;
    if (fit === undefined || setup === undefined) {
      throw new CheckpointError(`fit: ${this.#path} is a checkpoint, and not one of fit.`);
    }
    const before: Record<string, Json> = JSON.parse(setup);
    for (const [name, value] of Object.entries(this.#setup)) {
      const [then, now] = [before[name], value].map((v) => JSON.stringify(v ?? null));
      if (then === now) continue;
      throw new CheckpointError(
        `fit: ${this.#path} is of a fit whose ${name} was ${then}, and here it is ${now}; expected the same, so that ` +
          'it goes on as if it had never stopped.',
      );
    }
    const target = { parameters: arrays.flow.parameters, optimizer: new FitMemory(arrays) };
    restoreCheckpoint(bytes, target, this.#path);
    return stateOfText(fit);
  }
}

/** The optimizer, the best weights and the averages as one, in the form in which checkpoints hold optimizers. */
class FitMemory implements Optimizer {
  readonly #arrays: FitArrays;

  constructor(arrays: FitArrays) {
    this.#arrays = arrays;
  }

  get name(): string {
    return `fit/${this.#arrays.optimizer.name}`;
  }

  /** It is no rule of its own. */
  step(parameters: readonly Parameter[], options: StepOptions): void {
    this.#arrays.optimizer.step(parameters, options);
  }

  async state(parameters: readonly Parameter[]): Promise<OptimizerState> {
    const { optimizer, best, average } = this.#arrays;
    const [own, averages] = await Promise.all([optimizer.state(parameters), average?.state()]);
    return new Map([
      ...prefixed('optimizer/', own),
      ...prefixed('average/', averages),
      ...prefixed('best/', best.arrays),
    ]);
  }

  load(state: OptimizerState, parameters: readonly Parameter[]): void {
    const { optimizer, best, average } = this.#arrays;
    const averages = without('average/', state);
    if (averages.size > 0) average?.load(averages);
    const arrays = without('best/', state);
    best.arrays = arrays.size > 0 ? arrays : undefined;
    optimizer.load(without('optimizer/', state), parameters);
  }

  dispose(): void {}
}

function prefixed(prefix: string, state: OptimizerState | undefined) {
  return [...(state ?? [])].map(([name, array]) => [`${prefix}${name}`, array] as const);
}

function without(prefix: string, state: OptimizerState) {
  const found = [...state].filter(([name]) => name.startsWith(prefix));
  return new Map(found.map(([name, array]) => [name.slice(prefix.length), array]));
}
