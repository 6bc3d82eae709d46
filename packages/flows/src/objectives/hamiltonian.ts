/**
 * Hamiltonian Monte Carlo on energies, in the space of x or in that of a flow's latent. Left out: adapted masses, for
 * which the flow stands; and chains of different lengths. Mathematics: docs/math/flows/hamiltonian.md
 */
import {
  add,
  affine,
  concat,
  OutOfMemoryError,
  RandomStream,
  requireBetween,
  requireOptions,
  requireTensor,
  requireWhole,
  type Shape,
  ShapeError,
  slice,
  square,
  sub,
  sumPerSample,
  type Tensor,
  tensor,
  tidy,
} from '@invnet/tensor';
import { baseContext, type Flow, networkContext, requireFlow } from '../flow.ts';
import { type ChainDiagnostics, chainDiagnostics } from './chains.ts';
import {
  type Energy,
  finiteness,
  requireEnergy,
  requireFiniteEnergies,
  slopeAt,
} from './energy.ts';
import { latentEnergy } from './latent-energy.ts';
import { StepSize } from './step-size.ts';

/** How chains run. */
export interface ChainOptions {
  /** Draws of each chain that are kept, at least 4. */
  readonly samples: number;
  /** Draws before them, in which the step size is found. Default: 500. */
  readonly warmup?: number;
  /** Steps of a trajectory at most; each draw has a number of its own up to it. Default: 16. */
  readonly steps?: number;
  /** Where the search for the step size starts. Default: D^(−1/4)/2 for D numbers. */
  readonly stepSize?: number;
  /** Which share of proposals is to be accepted. Default: 0.8. */
  readonly acceptance?: number;
  /** Seed of all that is drawn; or a stream that moves on. */
  readonly seed: number | RandomStream;
}

const chainOptions = ['samples', 'warmup', 'steps', 'stepSize', 'acceptance', 'seed'];

/** Where chains start, and how they run. */
export interface HamiltonianOptions extends ChainOptions {
  /** The first state of each chain, [chains, …]. */
  readonly start: Tensor;
}

/** Where chains start, and how they run. */
export interface NeuTraOptions extends ChainOptions {
  /** Shape of x, with the number of chains as its batch. */
  readonly shape: Shape;
  /** What the network and the base take as their context, for each of the chains or one for all. */
  readonly context?: Tensor;
}

/** What chains gave. Of the numbers of a state there are statistics for each. */
export interface Chains extends ChainDiagnostics {
  /** [draws, chains, …]; the caller owns it. */
  readonly samples: Tensor;
  /** Share of proposals that were accepted after the warmup. */
  readonly acceptance: number;
  /** Step size after the warmup. */
  readonly stepSize: number;
  /** Trajectories after the warmup whose energy rose by more than 1000, or was not finite: they were refused. */
  readonly divergences: number;
}

/**
 * Samples of e^(−U)/Z by Hamiltonian Monte Carlo (Neal, "MCMC using Hamiltonian dynamics", 2011), all chains as one
 * batch: leapfrog steps with unit masses, of a random number for each draw, and a step size by dual averaging in the
 * warmup (Hoffman and Gelman, "The No-U-Turn sampler", 2014). An error of the energy within a trajectory is a refusal.
 *
 * @throws NonFiniteEnergyError where a chain starts without an energy. @throws ShapeError, ValueError for wrong
 * arguments, and for what an energy gave.
 * @example
 * const start = new RandomStream(1).normal([8, 2]);
 * const { samples, rHat, acceptance } = await hamiltonianMonteCarlo(energy, { start, samples: 1000, seed: 2 });
 */
export async function hamiltonianMonteCarlo(
  energy: Energy,
  options: HamiltonianOptions,
): Promise<Chains> {
  requireEnergy('hamiltonianMonteCarlo', energy);
  requireOptions('hamiltonianMonteCarlo', options, ['start', ...chainOptions]);
  const { start } = options;
  requireTensor('hamiltonianMonteCarlo', start, 'start');
  requireChains('hamiltonianMonteCarlo', start.shape);
  return runChains('hamiltonianMonteCarlo', energy, start, options, (z) => z.reshape(z.shape));
}

/**
 * Samples of e^(−U)/Z by Hamiltonian Monte Carlo in the latent space of a flow, from samples of its base on (Hoffman et
 * al., "NeuTra-lizing bad geometry in Hamiltonian Monte Carlo using neural transport", 2019). They are exact in the
 * limit whatever the flow, which only decides how fast chains forget; statistics are those of x.
 *
 * @throws as `hamiltonianMonteCarlo`.
 * @example
 * const { samples, rHat } = await neuTra(flow, energyOf(funnel()), { shape: [8, 2], samples: 1000, seed: 1 });
 */
export async function neuTra(flow: Flow, energy: Energy, options: NeuTraOptions): Promise<Chains> {
  requireFlow('neuTra', flow);
  requireEnergy('neuTra', energy);
  requireOptions('neuTra', options, ['shape', 'context', ...chainOptions]);
  const { shape, context, seed } = options;
  const random = seed instanceof RandomStream ? seed : new RandomStream(seed);
  const latent = flow.network.outputShape(shape);
  requireChains('neuTra', latent);
  using start = flow.base.sample(latent, { random, context: baseContext(flow, context) });
  const own = networkContext(flow, context);
  const pulled = latentEnergy(flow, energy, context);
  return await runChains('neuTra', pulled, start, { ...options, seed: random }, (z) =>
    tidy(() => flow.network.inverse(z, own).x),
  );
}

function requireChains(op: string, shape: Shape): void {
  if (shape.length > 1) return;
  throw new ShapeError(`${op}: states are [${shape.join(', ')}]; expected [chains, …].`);
}

/** A state of all chains, with its energies and their gradients. */
class State implements Disposable {
  readonly z: Tensor;
  readonly value: Tensor;
  readonly gradient: Tensor;

  constructor(z: Tensor, value: Tensor, gradient: Tensor) {
    this.z = z;
    this.value = value;
    this.gradient = gradient;
  }

  /** With energies of its own. */
  static at(op: string, energy: Energy, z: Tensor): State {
    const { value, gradient } = slopeAt(op, energy, z);
    return new State(z, value, gradient);
  }

  [Symbol.dispose](): void {
    for (const t of [this.z, this.value, this.gradient]) t.dispose();
  }
}

async function runChains(
  op: string,
  energy: Energy,
  start: Tensor,
  options: ChainOptions,
  observe: (z: Tensor) => Tensor,
): Promise<Chains> {
  const { samples, warmup = 500, steps = 16, acceptance = 0.8, seed } = options;
  const chains = start.shape[0]!;
  const { stepSize = 0.5 * (start.size / chains) ** -0.25 } = options;
  requireWhole(op, 'samples', samples, 4, 2 ** 24);
  requireWhole(op, 'warmup', warmup, 0, 2 ** 20);
  requireWhole(op, 'steps', steps, 1, 2 ** 12);
  requireBetween(op, 'stepSize', stepSize, 0);
  requireBetween(op, 'acceptance', acceptance, 0, 1);
  const random = seed instanceof RandomStream ? seed : new RandomStream(seed);
  const size = new StepSize(stepSize, acceptance);
  const numbers = roomFor(op, samples * start.size);
  let state = tidy(() => State.at(op, energy, start.reshape(start.shape)));
  let [accepted, divergences, shape] = [0, 0, start.shape];
  try {
    await requireStart(op, state);
    for (let draw = -warmup; draw < samples; draw++) {
      const momenta = random.normalArray(start.size);
      const [length, ...thresholds] = random.uniformArray(1 + chains);
      const epsilon = draw < 0 ? size.current : size.settled;
      const { end, rise } = trajectory(op, energy, state, {
        momenta,
        epsilon,
        count: 1 + Math.floor(length! * steps),
      });
      using ended = end;
      using risen = rise;
      const rises = Array.from(await risen.data());
      const chances = rises.map((h) => (Number.isFinite(h) ? Math.min(1, Math.exp(-h)) : 0));
      const moved = chances.map((chance, i) => thresholds[i]! < chance);
      const next = chosen(state, ended, moved);
      state[Symbol.dispose]();
      state = next;
      if (draw < 0) {
        size.adapt(chances.reduce((a, b) => a + b) / chains);
        continue;
      }
      accepted += moved.filter(Boolean).length;
      divergences += rises.filter((h) => !(h <= 1000)).length;
      using seen = observe(state.z);
      shape = seen.shape;
      numbers.set(await seen.data(), draw * seen.size);
    }
  } finally {
    state[Symbol.dispose]();
  }
  return {
    ...chainDiagnostics(numbers, { draws: samples, chains }),
    samples: tensor(numbers, [samples, ...shape], start),
    acceptance: accepted / (samples * chains),
    stepSize: size.settled,
    divergences,
  };
}

/** Leapfrog steps from a state with given momenta; and by how much the energy rose, momenta included. */
function trajectory(
  op: string,
  energy: Energy,
  from: State,
  { momenta, epsilon, count }: { momenta: Float64Array; epsilon: number; count: number },
): { end: State; rise: Tensor } {
  return tidy(() => {
    const first = tensor(momenta, from.z.shape, from.z);
    let state = from;
    let p = add(first, affine(from.gradient, -epsilon / 2));
    for (let step = 1; step <= count; step++) {
      const next = tidy(() => State.at(op, energy, add(state.z, affine(p, epsilon))));
      const kick = tidy(() => affine(next.gradient, step < count ? -epsilon : -epsilon / 2));
      const faster = add(p, kick);
      for (const t of [p, kick]) t.dispose();
      if (state !== from) state[Symbol.dispose]();
      [state, p] = [next, faster];
    }
    const rise = sub(total(state.value, p), total(from.value, first));
    return { end: state, rise };
  });
}

/** Energy and kinetic energy, [chains]. */
function total(value: Tensor, momenta: Tensor): Tensor {
  return add(value, affine(sumPerSample(square(momenta)), 0.5));
}

/** Of each chain the state that it has moved to, or the one that it had. */
function chosen(before: State, after: State, moved: readonly boolean[]): State {
  const starts = moved.flatMap((m, i) => (i === 0 || m !== moved[i - 1] ? [i] : []));
  const pick = (name: 'z' | 'value' | 'gradient') =>
    concat(
      starts.map((start, i) => {
        const end = starts[i + 1] ?? moved.length;
        return slice((moved[start] ? after : before)[name], 0, start, end - start);
      }),
      0,
    );
  return tidy(() => new State(pick('z'), pick('value'), pick('gradient')));
}

/** @throws NonFiniteEnergyError */
async function requireStart(op: string, { value, gradient }: State): Promise<void> {
  using check = finiteness(value, gradient);
  requireFiniteEnergies(op, await check.data());
}

function roomFor(op: string, size: number): Float64Array<ArrayBuffer> {
  try {
    return new Float64Array(size);
  } catch (cause) {
    throw new OutOfMemoryError(`${op}: no room for ${size} numbers; expected fewer samples.`, {
      cause,
    });
  }
}
