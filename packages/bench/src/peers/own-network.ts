/** The networks on our backends, with their data and their losses. */
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import { type Bijection, initialize, namedParameters, type Pair, zeroGrad } from '@invnet/layers';
import { ConditionalHint, Glow, UnrolledLoop } from '@invnet/networks';
import {
  add,
  affine,
  type Backend,
  conv,
  convInputGrad,
  full,
  mean,
  RandomStream,
  setBackend,
  square,
  sub,
  sumPerSample,
  sumSquares,
  type Tensor,
  tensor,
  tidy,
  zerosLike,
} from '@invnet/tensor';
import { Adam } from '@invnet/train';
import type { GlowNetwork, HintNetwork, LoopNetwork, Network } from '../networks.ts';
import { readOne } from './ours.ts';
import type { Numbers, Operation } from './peer.ts';

/** A network, its inputs by name, and its parameters by their paths. */
export interface TrainingProblem {
  readonly network: Network;
  readonly inputs: Readonly<Record<string, Numbers>>;
  readonly parameters: Readonly<Record<string, Numbers>>;
}

/** The operation that is timed. */
export const trainingStep = 'training step';

/** A network with its data on the current backend. */
export interface Training {
  readonly network: Bijection | Bijection<Pair>;
  /** Sets what depends on the data. */
  initialize(): Promise<void>;
  /** Computes the network's result, and drops it. */
  forward(): Promise<void>;
  /** The loss, whose gradients are added to the parameters. */
  differentiate(): Tensor;
}

type Inputs = Readonly<Record<string, Tensor>>;

/** Draws the inputs and the parameters of a network, which its data initialize. */
export async function makeTrainingProblem(network: Network): Promise<TrainingProblem> {
  const random = new RandomStream(1);
  const inputs: Record<string, Numbers> = {};
  for (const [name, shape] of Object.entries(inputShapes(network))) {
    const count = shape.reduce((a, b) => a * b, 1);
    // Memory starts empty, and a blur is a mean of its neighbours.
    const deviation = name === 'memory' ? 0 : 1;
    const values =
      name === 'kernel'
        ? new Float32Array(count).fill(1 / count)
        : Float32Array.from(random.normalArray(count, deviation));
    inputs[name] = { shape, values };
  }
  const training = trainingOf({ network, inputs });
  await training.initialize();
  const parameters: Record<string, Numbers> = {};
  for (const [name, { data }] of namedParameters(training.network)) {
    // Biases of zero let a ReLU meet an exact zero, where libraries differ in its derivative.
    const values = await data.data();
    const noise = random.normalArray(values.length, 0.01);
    parameters[name] = {
      shape: data.shape,
      values: Float32Array.from(values, (v, i) => v + noise[i]!),
    };
  }
  training.network.dispose();
  return { network, inputs, parameters };
}

/** The network of a problem on the current backend, with the problem's parameters if it has them. */
export function trainingOf({
  network,
  inputs,
  parameters,
}: Pick<TrainingProblem, 'network' | 'inputs'> & Partial<TrainingProblem>): Training {
  const data = Object.fromEntries(
    Object.entries(inputs).map(([name, { values, shape }]) => [name, tensor(values, shape)]),
  );
  const training = make(network, data);
  if (!parameters) return training;
  for (const [name, p] of namedParameters(training.network)) {
    using values = tensor(parameters[name]!.values, parameters[name]!.shape);
    p.assign(values);
  }
  return training;
}

/** A training step on a backend: loss, gradients and Adam. */
export async function ownTraining(
  backend: Backend,
  problem: TrainingProblem,
): Promise<readonly Operation[]> {
  await setBackend(backend);
  const training = trainingOf(problem);
  const step = optimizing(training);
  const result = async () => {
    using loss = training.differentiate();
    const { parameters } = training.network;
    const parts = [await loss.data()];
    for (const p of parameters) parts.push(await p.grad!.data());
    zeroGrad(parameters);
    return parts;
  };
  return [{ name: trainingStep, run: step, result }];
}

/** A function that makes one step after the other, and ends each when it is done. */
export function optimizing(training: Training): () => Promise<void> {
  const { parameters } = training.network;
  const optimizer = new Adam();
  return async () => {
    training.differentiate().dispose();
    // A rate so small that all steps are alike.
    optimizer.step(parameters, { learningRate: 1e-9 });
    zeroGrad(parameters);
    await readOne(parameters[0]!.data);
  };
}

function inputShapes(network: Network): Record<string, readonly number[]> {
  const { batch, side } = network;
  switch (network.kind) {
    case 'glow':
      return { x: [batch, network.channels, ...new Array<number>(network.ndims).fill(side)] };
    case 'hint': {
      const shape = [batch, network.channels, side, side];
      return { x: shape, y: shape };
    }
    case 'loop': {
      const image = [batch, 1, side, side];
      const memory = [batch, network.memoryChannels, side, side];
      return { estimate: image, memory, data: image, target: image, kernel: [1, 1, 5, 5] };
    }
  }
}

function make(network: Network, inputs: Inputs): Training {
  switch (network.kind) {
    case 'glow':
      return makeGlow(network, inputs);
    case 'hint':
      return makeHint(network, inputs);
    case 'loop':
      return makeLoop(network, inputs);
  }
}

function makeGlow(
  { channels, hidden, scales, steps, ndims }: GlowNetwork,
  { x }: Inputs,
): Training {
  const network = new Glow({ channels, hidden, scales, steps, ndims });
  const flow = new Flow({ network });
  return {
    network,
    initialize: () => initialize(network, x!),
    forward: async () => {
      const { y, logdet } = network.forward(x!);
      await readOne(y);
      y.dispose();
      logdet.dispose();
    },
    differentiate: () => negativeLogLikelihood(flow, x!),
  };
}

/** −mean log p(x, y) with standard normal latent variables. */
function makeHint({ channels, hidden, steps }: HintNetwork, { x, y }: Inputs): Training {
  const network = new ConditionalHint({ channels, hidden, steps });
  const state: Pair = [x!, y!];
  const [n] = x!.shape as [number];
  const constant = (x!.shape.slice(1).reduce((a, b) => a * b, 1) * Math.log(2 * Math.PI)) as number;
  return {
    network,
    initialize: () => initialize(network, state),
    forward: () => run(network, state),
    differentiate: () =>
      tidy(() => {
        const { z, loss, dz } = tidy(() => {
          const { y: z, logdet } = network.forward(state);
          const density = z.map((t) => affine(sumPerSample(square(t)), 0.5));
          const energy = sub(add(density[0]!, density[1]!), logdet);
          const dz: Pair = [affine(z[0], 1 / n), affine(z[1], 1 / n)];
          return { z, loss: affine(mean(energy), 1, constant), dz };
        });
        network.backward(z, dz, { dlogdet: full([n], -1 / n) });
        return loss;
      }),
  };
}

/** ½‖η − target‖² per sample. */
function makeLoop({ memoryChannels, hidden, iterations }: LoopNetwork, inputs: Inputs): Training {
  const { estimate, memory, data, target, kernel } = inputs;
  const padding = 2;
  const operator = {
    forward: (u: Tensor) => conv(u, kernel!, { padding }),
    adjoint: (r: Tensor) => convInputGrad(r, kernel!, r.shape, { padding }),
  };
  const network = new UnrolledLoop({ memoryChannels, hidden, iterations, operator });
  const state: Pair = [estimate!, memory!];
  const context = data!;
  const [n] = estimate!.shape as [number];
  return {
    network,
    initialize: () => initialize(network, state, { context }),
    forward: () => run(network, state, context),
    differentiate: () =>
      tidy(() => {
        const { y, loss, dy } = tidy(() => {
          const { y } = network.forward(state, context);
          const error = sub(y[0], target!);
          const dy: Pair = [affine(error, 1 / n), zerosLike(y[1])];
          return { y, loss: affine(sumSquares(error), 0.5 / n), dy };
        });
        network.backward(y, dy, { context });
        return loss;
      }),
  };
}

async function run(network: Bijection<Pair>, state: Pair, context?: Tensor): Promise<void> {
  const { y, logdet } = network.forward(state, context);
  await readOne(y[0]);
  for (const t of [...y, logdet]) t.dispose();
}
