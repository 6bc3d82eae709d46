/**
 * The training loop, as an async iterator of metrics: whoever iterates decides what happens between
 * steps (a progress bar, an evaluation, a checkpoint), and stops by leaving the loop.
 *
 * Left out: the model and the data. The loop knows a list of parameters and a function that takes a
 * batch, accumulates gradients and returns the loss.
 */
import {
  type Parameter,
  ParameterMap,
  requireParameters,
  TrainingStep,
  zeroGrad,
} from '@invnet/layers';
import {
  collectTensors,
  formatShape,
  formatValue,
  InvNetError,
  memory,
  requireAtLeast,
  requireBoolean,
  requireFunction,
  requireOptions,
  requireTensor,
  requireWhole,
  type Shape,
  type Tensor,
  ValueError,
} from '@invnet/tensor';
import { clipFactor, gradientNorm } from './clipping.ts';
import { type Communicator, requireCommunicator, type SharedTraining } from './communicator.ts';
import { type Optimizer, requireOptimizer } from './optimizer.ts';
import type { Schedule } from './schedule.ts';

/** What to train, on what, and how. */
export interface TrainOptions<B> {
  readonly parameters: readonly Parameter[];
  readonly optimizer: Optimizer;
  /**
   * Returns the loss of a batch, one number, and adds its gradient to the parameters'. In the first
   * step that sees data, what depends on data sets itself in it, as `initialize` would.
   */
  readonly loss: (batch: B) => Tensor;
  /** Training ends when they do. None is asked for before the step that uses it. */
  readonly batches: Iterable<B> | AsyncIterable<B>;
  /** Learning rates; see `constant` and `warmupCosine`. */
  readonly schedule: Schedule;
  /** Gradients are scaled down to this global norm at most. Default: no limit. */
  readonly clipNorm?: number | undefined;
  /** Ends training after the step that is under way. */
  readonly signal?: AbortSignal | undefined;
  /** Steps done before, when a run is resumed. Default: 0. */
  readonly startStep?: number;
  /** Called with each batch after its step, also when the step fails. */
  readonly disposeBatch?: ((batch: B) => void) | undefined;
  /**
   * The processes that train together, each with batches of its own, as many on all and of equal shapes. Each step is
   * that of one process with all their samples, and what is reported is of all; rank 0's learning rate counts, and a
   * signal to one of them ends all.
   */
  readonly communicator?: Communicator | undefined;
}

/** What is known after a step. */
export interface TrainingMetrics {
  /** Steps done so far: 1 after the first. */
  readonly step: number;
  /** Loss of the step's batch, before the update. */
  readonly loss: number;
  /** Global norm of the gradients, before clipping. */
  readonly gradientNorm: number;
  readonly learningRate: number;
  /** Bytes that are live on the current backend after the step. */
  readonly liveBytes: number;
  /** Largest live bytes since the last `resetPeakMemory()`. */
  readonly peakBytes: number;
}

/**
 * Where numbers stopped being finite: in the data, of one of several ranks, or at a parameter of this name, whose value may be what
 * the step's own batch set; or, where all of them are, in the squares that an optimizer makes of gradients
 * of this norm.
 */
export type NonFiniteLocation =
  | { readonly where: 'batch'; readonly shape: Shape; readonly rank?: number }
  | { readonly where: 'value' | 'initialization' | 'gradient'; readonly parameter: string }
  | { readonly where: 'squares'; readonly norm: number };

/** The loss or a gradient became NaN or infinite, or too large for the square of it. Everything is as it was before this step. */
export class NonFiniteLossError extends InvNetError {
  override name = 'NonFiniteLossError';
  /** The step that failed, counted as in `TrainingMetrics`. */
  readonly step: number;
  readonly loss: number;
  /** The first that is not finite: of the batch's tensors, the parameters, the gradients; if any. */
  readonly location: NonFiniteLocation | undefined;

  /** `clipped` says that there was a `clipNorm`, which then is no advice. */
  constructor(
    step: number,
    loss: number,
    location: NonFiniteLocation | undefined,
    clipped = false,
  ) {
    const gradients = location?.where === 'squares' ? 'too large' : 'not finite';
    const what = Number.isFinite(loss)
      ? `the gradients are ${gradients} (loss ${loss})`
      : `the loss is ${loss}`;
    super(
      `train: in step ${step} ${what}; ${describe(location)}. This step changed nothing. Expected ` +
        `finite numbers: ${advice(location, clipped)}.`,
    );
    this.step = step;
    this.loss = loss;
    this.location = location;
  }
}

/** What may help, which depends on where it went wrong. */
function advice(location: NonFiniteLocation | undefined, clipped: boolean): string {
  switch (location?.where) {
    case 'batch':
      return 'check the data';
    case 'value':
      return `load earlier parameters and try a lower learning rate${clipped ? '' : ' or a clipNorm'}`;
    case 'initialization':
      return 'check that the data are such as the layers before it take, as Logit those between 0 and 1';
    case 'squares':
      return clipped ? 'try a lower clipNorm' : 'try a clipNorm';
    default:
      return `look at the loss, or try a lower learning rate${clipped ? '' : ' or a clipNorm'}`;
  }
}

/**
 * Trains: for each batch computes the loss with its gradients, clips, updates, moves running
 * statistics, frees the gradients, yields metrics and lets other tasks of the event loop run. Between
 * steps live bytes are the same, after the optimizer made its state in the first.
 *
 * Iteration ends with the batches, with `signal`, or by `break`; parameters and optimizer are then
 * as the last metrics found them. A step that throws has changed nothing.
 *
 * @throws NonFiniteLossError @throws ValueError when the loss is not one number.
 * @example
 * const optimizer = new Adam();
 * const loss = (x: Tensor) => negativeLogLikelihood(flow, x);
 * for await (const { step, loss: nats } of train({ parameters, optimizer, loss, batches, schedule })) {
 *   console.log(step, nats);
 * }
 */
export async function* train<B>(
  options: TrainOptions<B>,
): AsyncGenerator<TrainingMetrics, void, undefined> {
  requireTrainOptions(options);
  const { batches, signal, startStep = 0, disposeBatch, communicator } = options;
  let step = startStep;
  const shared = await communicator?.share(options);
  const aborted = () => signal?.aborted === true;
  // Of several ranks none stops by itself.
  const stops = () => !shared && aborted();
  if (stops()) return;
  try {
    for await (const batch of batches) {
      let result: StepResult;
      try {
        // The signal may have come while the batch was being made.
        if (stops()) return;
        const ready = { step, batch, ended: false, aborted: aborted() };
        if (shared?.goesOn(ready) === false) return;
        result = await trainStep(options, batch, step + 1, shared);
      } finally {
        zeroGrad(options.parameters);
        disposeBatch?.(batch);
      }
      step += 1;
      const { liveBytes, peakBytes } = memory();
      yield { ...result, liveBytes, peakBytes };
      await nextTask();
      if (stops()) return;
    }
    shared?.goesOn({ step, ended: true, aborted: aborted() });
  } finally {
    shared?.dispose();
  }
}

const optionNames = [
  'parameters',
  'optimizer',
  'loss',
  'batches',
  'schedule',
  'clipNorm',
  'signal',
  'startStep',
  'disposeBatch',
  'communicator',
];

function requireTrainOptions<B>(options: TrainOptions<B>): void {
  requireOptions('train', options, optionNames);
  const { parameters, optimizer, loss, batches, schedule } = options;
  const { clipNorm, signal, startStep = 0, disposeBatch, communicator } = options;
  requireParameters('train', parameters);
  requireOptimizer('train', optimizer);
  requireFunction('train', 'loss', loss);
  if (typeof batches !== 'object' || batches === null || !isIterable(batches)) {
    throw new ValueError(
      `train: batches is ${formatValue(batches)}; expected a list, a generator or another iterable.`,
    );
  }
  requireFunction('train', 'schedule', schedule, 'a function, such as constant(1e-3)');
  if (clipNorm !== undefined) clipFactor(0, clipNorm);
  if (signal !== undefined) requireBoolean('train', "the signal's aborted", signal?.aborted);
  requireWhole('train', 'startStep', startStep, 0);
  if (disposeBatch !== undefined) requireFunction('train', 'disposeBatch', disposeBatch);
  if (communicator !== undefined) requireCommunicator('train', communicator);
}

function isIterable(batches: object): boolean {
  return [Symbol.iterator, Symbol.asyncIterator].some(
    (key) => typeof Reflect.get(batches, key) === 'function',
  );
}

type StepResult = Omit<TrainingMetrics, 'liveBytes' | 'peakBytes'>;

async function trainStep<B>(
  options: TrainOptions<B>,
  batch: B,
  step: number,
  shared: SharedTraining | undefined,
): Promise<StepResult> {
  const { parameters, optimizer, schedule, clipNorm = Number.POSITIVE_INFINITY } = options;
  zeroGrad(parameters);
  const attempt = new TrainingStep(shared);
  const failure = (loss: number, location: NonFiniteLocation | undefined) =>
    new NonFiniteLossError(step, loss, location, options.clipNorm !== undefined);
  try {
    shared?.begin();
    const own = await readLoss(attempt.run(() => options.loss(batch)));
    const together = shared?.complete({ loss: own, learningRate: schedule(step - 1) });
    const loss = together?.loss ?? own;
    const norm = await gradientNorm(parameters);
    if (!Number.isFinite(loss) || !Number.isFinite(norm)) {
      const found = await firstNonFinite(batch, parameters, attempt);
      throw failure(loss, options.communicator ? foremost(found, options.communicator) : found);
    }
    const gradientScale = clipFactor(norm, clipNorm);
    if (norm * gradientScale > largestNorm(parameters)) {
      throw failure(loss, { where: 'squares', norm });
    }
    requireGradients(parameters, step);
    const learningRate = together?.learningRate ?? schedule(step - 1);
    requireAtLeast('train', `what the schedule gave for step ${step}`, learningRate, 0);
    attempt.commit(() => optimizer.step(parameters, { learningRate, gradientScale }));
    return { step, loss, gradientNorm: norm, learningRate };
  } catch (error) {
    attempt.rollback();
    throw error;
  }
}

/** Beyond this norm, the square of a gradient may be infinite: Adam would remember that for ever. */
function largestNorm(parameters: readonly Parameter[]): number {
  return Math.sqrt(parameters[0]?.data.dtype === 'float64' ? Number.MAX_VALUE : 3.4e38);
}

/** @throws ValueError when there is something to train, and the loss added no gradient to any of it. */
function requireGradients(parameters: readonly Parameter[], step: number): void {
  const trained = parameters.filter((p) => !p.frozen);
  if (trained.length === 0 || trained.some((p) => p.grad)) return;
  throw new ValueError(
    `train: the loss of step ${step} added no gradient to any of ${trained.length} parameters; expected ` +
      'one that calls backward, as negativeLogLikelihood does: there is no automatic differentiation.',
  );
}

async function readLoss(loss: Tensor): Promise<number> {
  using scalar = requireTensor('train', loss, 'the loss');
  if (scalar.size !== 1) {
    throw new ValueError(`train: the loss is ${scalar.toString()}; expected one number.`);
  }
  return (await scalar.data())[0]!;
}

/** Causes first: a bad batch spoils everything, and a bad value every gradient. */
async function firstNonFinite(
  batch: unknown,
  parameters: readonly Parameter[],
  attempt: TrainingStep,
): Promise<NonFiniteLocation | undefined> {
  const bad = async (t: Tensor | undefined) => !(await t?.data())?.every(Number.isFinite);
  const data = new Set<Tensor>();
  collectTensors(batch, data);
  for (const t of data) if (await bad(t)) return { where: 'batch', shape: t.shape };
  const set = new ParameterMap(
    attempt.initialized.flatMap((module) => module.parameters.map((p) => [p, true])),
  );
  for (const p of parameters) {
    if (!(await bad(p.data))) continue;
    return { where: set.has(p) ? 'initialization' : 'value', parameter: p.name };
  }
  for (const p of parameters) {
    if (p.grad && (await bad(p.grad))) return { where: 'gradient', parameter: p.name };
  }
  return undefined;
}

/** Of what each rank found, a bad batch first: from there it has spread to all. */
function foremost(
  own: NonFiniteLocation | undefined,
  communicator: Communicator,
): NonFiniteLocation | undefined {
  const found = communicator.gather(own ?? null);
  const rank = found.findIndex((location) => location?.where === 'batch');
  const batch = found[rank];
  return batch?.where === 'batch' ? { ...batch, rank } : (found[0] ?? undefined);
}

function describe(location: NonFiniteLocation | undefined): string {
  if (!location) {
    return 'batch, parameters and gradients are finite by themselves';
  }
  if (location.where === 'batch') {
    const of = location.rank === undefined ? '' : ` of rank ${location.rank}`;
    return `the batch's tensor of shape ${formatShape(location.shape)}${of} holds NaN or infinity`;
  }
  if (location.where === 'squares') {
    return `their norm is ${location.norm.toPrecision(3)}, which is too large to be squared`;
  }
  const [what, since] = {
    value: ['value', ', since before this step'],
    initialization: ['value', ', which this batch set'],
    gradient: ['gradient', ''],
  }[location.where];
  return `the first that is not finite is the ${what} of parameter '${location.parameter}'${since}`;
}

/** Waits for a new task of the event loop, without the delay that browsers give to timers. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
