/**
 * Data-dependent initialization (Salimans and Kingma, "Weight normalization", 2016; Kingma and
 * Dhariwal, "Glow", 2018), on purpose and once. Sampling, inverting or probing a network never does it.
 */
import {
  BackendError,
  type NumericArray,
  requireOptions,
  type Tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import { requireContext, requireState } from '../core/arguments.ts';
import { Bijection, requireBijection } from '../core/bijection.ts';
import { formatStateShape, type State, shapeOf, tensorsOf } from '../core/state.ts';
import { type DataDependent, TrainingStep } from '../core/training-step.ts';
import { Flag } from '../tree/buffer.ts';
import { Module, namedParameters, placesIn, requireModule } from '../tree/module.ts';

/** A network, or a flow of one, which may have a base with layers of its own. */
export type Initializable<S extends State> =
  | Bijection<S>
  | {
      readonly network: Bijection<S>;
      readonly usesContext?: boolean;
      forward?(x: S, context?: Tensor): object;
    };

/** What goes with the data. */
export interface InitializeOptions {
  /** The context of x, for a conditional network. */
  readonly context?: Tensor | undefined;
}

/**
 * Sets the parameters that depend on data (scales and shifts of `ActNorm`) so that each layer's
 * output on x has mean 0 and variance 1 per channel, in the direction of `network.forward`. What was
 * initialized, loaded or assigned before stays; a second call does nothing. `train` does it with the
 * first batch.
 *
 * @throws ValueError for data that are not finite, or with which the network's numbers are not;
 * nothing has changed then.
 * @example
 * await initialize(network, x);
 * await initialize(reverse(generator), images); // in the direction in which it will be trained
 */
export async function initialize<S extends State>(
  model: Initializable<S>,
  x: S,
  options: InitializeOptions = {},
): Promise<void> {
  const { network, whole, context } = checked(model, x, options);
  if (isInitialized(whole)) return;
  for (const [name, t] of inputs(x, context)) requireFinite(network, name, await t.data());
  const step = runOn(model, x, context);
  try {
    for (const [name, t] of results(step)) requireFit(network, name, await t.data());
  } catch (error) {
    step.rollback();
    throw error;
  }
}

/**
 * As `initialize`, at once, for a training loss that is called outside of `train`.
 *
 * @throws BackendError where data cannot be read at once; `await initialize(…)` can there.
 */
export function initializeSync<S extends State>(
  model: Initializable<S>,
  x: S,
  options: InitializeOptions = {},
): void {
  const { network, whole, context } = checked(model, x, options);
  if (isInitialized(whole)) return;
  for (const [name, t] of inputs(x, context)) requireFinite(network, name, readNow(network, t));
  const step = runOn(model, x, context);
  try {
    for (const [name, t] of results(step)) requireFit(network, name, readNow(network, t));
  } catch (error) {
    step.rollback();
    throw error;
  }
}

/** Has everything in the network that depends on data been set? Frozen parameters stay as they are. */
export function isInitialized(network: Module): boolean {
  requireModule('isInitialized', network);
  let found = dependentParts.get(network);
  if (!found) {
    found = [...placesIn(network)].map(({ module }) => module).filter(isDataDependent);
    dependentParts.set(network, found);
  }
  return !found.some((m) => m.awaitsData);
}

/**
 * Forgets all initializations in the network: parameters that depend on data are as at the start, but for
 * those that are frozen.
 */
export function resetInitialization(network: Module): void {
  for (const { module } of placesIn(network)) {
    if (isDataDependent(module) && !module.parameters.some((p) => p.frozen)) module.reset();
  }
}

/** The tree stays as it was built, so one walk is enough. */
const dependentParts = new WeakMap<Module, readonly DataDependent[]>();

/** The network, what may await data, and the context. */
function checked<S extends State>(model: Initializable<S>, x: S, options: InitializeOptions) {
  const given = model instanceof Bijection ? model : model?.network;
  const network = requireBijection('initialize', 'network', given);
  requireState(['initialize'], x, network.stateSize);
  requireOptions('initialize', options, ['context']);
  const { context } = options;
  // A flow's context may be its base's alone.
  const used = network.usesContext || model.usesContext === true;
  if (context !== undefined) requireContext(['initialize'], used, x, context);
  return { network, whole: model instanceof Module ? model : network, context };
}

function isDataDependent(module: Module): module is DataDependent {
  return 'initialized' in module && module.initialized instanceof Flag;
}

function runOn<S extends State>(
  model: Initializable<S>,
  x: S,
  context: Tensor | undefined,
): TrainingStep {
  const step = new TrainingStep();
  try {
    step.run(() => {
      const evaluated = 'network' in model && !model.forward ? model.network : model;
      tidy(() => {
        evaluated.forward?.(x, context);
      });
    });
  } catch (error) {
    step.rollback();
    throw error;
  }
  step.discard();
  return step;
}

function inputs(x: State, context: Tensor | undefined): [string, Tensor][] {
  const shape = formatStateShape(shapeOf(x));
  const data = tensorsOf(x).map((t): [string, Tensor] => [`the data ${shape}`, t]);
  return context ? [...data, ['the context', context]] : data;
}

function results(step: TrainingStep): [string, Tensor][] {
  return step.initialized.flatMap((m) =>
    [...namedParameters(m)].map(([name, p]): [string, Tensor] => [
      `what the data give for '${name}' of a ${m.type}`,
      p.data,
    ]),
  );
}

function readNow(network: Module, t: Tensor): NumericArray {
  try {
    return t.dataSync();
  } catch (cause) {
    if (!(cause instanceof BackendError)) throw cause;
    throw new BackendError(
      `${network.type}: it was not initialized, and ${t.backend.name} cannot read the data at ` +
        'once; expected `await initialize(network, x)` before, or `train`.',
      { cause },
    );
  }
}

/** As `requireFinite`, of what data gave; of data so large that their squares are not, scales are 0. */
function requireFit(network: Module, name: string, values: NumericArray): void {
  requireFinite(network, name, values);
  if (!name.includes("'scale'") || values.every((v) => v !== 0)) return;
  throw new ValueError(
    `initialize: ${name} holds 0; expected data whose squares are finite. ${network.type} is as it was.`,
  );
}

function requireFinite(network: Module, name: string, values: NumericArray): void {
  for (const v of values) {
    if (Number.isFinite(v)) continue;
    throw new ValueError(
      `initialize: ${name} holds ${v}; expected finite numbers. ${network.type} is as it was.`,
    );
  }
}
