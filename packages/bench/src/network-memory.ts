/**
 * Peak memory of one forward and backward of every deep network of the library, at two depths. The
 * peak of the deeper one is that of the shallower: no state is kept between layers.
 *
 * Parameters and their gradients are set aside, as in the table of Glow.
 */
import {
  ActNorm,
  Bijection,
  ConditionalGlowCoupling,
  Flattened,
  InvertibleResidual,
  initialize,
  lipschitzBlock,
  type PairShape,
  ResidualBlock,
  Sequential,
  updateLipschitz,
} from '@invnet/layers';
import {
  ConditionalGlow,
  ConditionalHint,
  Glow,
  type GraphNetwork,
  graph,
  HyperbolicNetwork,
  InvertibleUNet,
  MultiScaleConditionalHint,
  MultiScaleHint,
  RevNet,
  UnrolledLoop,
} from '@invnet/networks';
import {
  affine,
  memory,
  RandomStream,
  resetPeakMemory,
  type Tensor,
  zerosLike,
} from '@invnet/tensor';
import { formatTable, mebibytes } from './table.ts';

/** One network. */
export interface NetworkMemory {
  readonly network: string;
  readonly depths: readonly [number, number];
  /** Peaks above the live bytes before the pass, at both depths. */
  readonly peaks: readonly [number, number];
  readonly ratio: number;
  /** Live bytes after the deeper pass, less those before. */
  readonly left: number;
}

/** A network of some depth, with data. */
interface Subject {
  readonly network: Bijection | RevNet;
  readonly x: Tensor;
  readonly context?: Tensor;
}

/** A deep network that `bench keep` measures as well. */
export interface DeepNetwork {
  /** One forward and backward. */
  pass(): void;
  dispose(): void;
}

/** How large a network of `measuredNetworks` is, and its data; some take a width. */
interface Sizes {
  readonly depth: number;
  readonly hidden?: number;
  readonly batch?: number;
}

const size = [32, 32];

/** Networks by name; each is made anew at each depth. */
const subjects: Readonly<
  Record<string, (sizes: Required<Sizes> & { readonly random: RandomStream }) => Subject>
> = {
  Glow: ({ depth: steps, batch, random }) => ({
    network: new Glow({ channels: 1, hidden: 16, scales: 2, steps, random }),
    x: random.normal([batch, 1, ...size]),
  }),
  ConditionalGlow: ({ depth: steps, batch, random }) => ({
    network: new ConditionalGlow({
      channels: 1,
      contextChannels: 1,
      hidden: 16,
      scales: 2,
      steps,
      random,
    }),
    x: random.normal([batch, 1, ...size]),
    context: random.normal([batch, 1, ...size]),
  }),
  MultiScaleHint: ({ depth: steps, batch, random }) => ({
    network: new MultiScaleHint({ channels: 1, hidden: 16, scales: 2, steps, random }),
    x: random.normal([batch, 1, ...size]),
  }),
  ConditionalHint: ({ depth: steps, batch, random }) => {
    const network = new ConditionalHint({ channels: 4, hidden: 16, steps, random });
    return pairs(network, [4, ...size], batch, random);
  },
  MultiScaleConditionalHint: ({ depth: steps, batch, random }) => {
    const options = { channels: 1, hidden: 16, scales: 2, steps, random };
    return pairs(new MultiScaleConditionalHint(options), [1, ...size], batch, random);
  },
  HyperbolicNetwork: ({ depth, batch, random }) => {
    const architecture = Array.from({ length: depth }, () => ({ hidden: 8 }));
    return pairs(
      new HyperbolicNetwork({ channels: 4, architecture, stepSize: 0.1, random }),
      [4, ...size],
      batch,
      random,
    );
  },
  InvertibleUNet: ({ depth: steps, hidden, batch, random }) => ({
    network: new InvertibleUNet({ channels: 4, levels: 2, steps, hidden, random }),
    x: random.normal([batch, 4, ...size]),
  }),
  RevNet: ({ depth, hidden, batch, random }) => ({
    network: new RevNet({
      ...{ channels: 1, classes: 10, width: hidden / 2 },
      ...{ blocks: [depth, depth], random },
    }),
    x: random.normal([batch, 1, ...size]),
  }),
  'residual flow': ({ depth, hidden, batch, random }) => {
    const sizes = { channels: 8, hidden: [4 * hidden, 4 * hidden], random };
    const residual = () =>
      new InvertibleResidual({ block: lipschitzBlock(sizes), logdet: 'roulette', random });
    const network = new Sequential(Array.from({ length: depth }, residual));
    // As after training: as far from the identity as blocks may be.
    for (const p of network.parameters) {
      using larger = affine(p.data, 10);
      if (p.name.endsWith('.w')) p.assign(larger);
    }
    updateLipschitz(network);
    return {
      network,
      x: random.normal([16 * batch, 8]),
    };
  },
  GraphNetwork: ({ depth, hidden, batch, random }) => ({
    network: deepGraph(depth, random, hidden),
    x: random.normal([batch, 4, ...size]),
    context: random.normal([batch, 1, ...size]),
  }),
  UnrolledLoop: ({ depth: iterations, batch, random }) => {
    const half = (t: Tensor) => affine(t, 0.5);
    const operator = { forward: half, adjoint: half };
    const network = new UnrolledLoop({
      memoryChannels: 3,
      iterations,
      operator,
      hidden: 16,
      random,
    });
    const shape: PairShape = [
      [1, ...size],
      [3, ...size],
    ];
    return {
      network: new Flattened(network, shape),
      x: random.normal([batch, 4 * size[0]! * size[1]!]),
      context: random.normal([batch, 1, ...size]),
    };
  },
};

/** Names of the networks that are measured. */
export const measuredNetworks = Object.keys(subjects);

/** Measures each network on the current backend. */
export async function measureNetworks(
  depths: readonly [number, number] = [4, 64],
): Promise<NetworkMemory[]> {
  const results: NetworkMemory[] = [];
  for (const network of measuredNetworks) {
    const shallow = await measurePass(network, depths[0]);
    const deep = await measurePass(network, depths[1]);
    results.push({
      network,
      depths,
      peaks: [shallow.peak, deep.peak],
      ratio: deep.peak / shallow.peak,
      left: deep.left,
    });
  }
  return results;
}

/** The measurements as a table. */
export function describeNetworks(results: readonly NetworkMemory[]): string {
  const rows = results.map((r) => [
    r.network,
    ...r.peaks.map(mebibytes),
    r.ratio.toFixed(3),
    mebibytes(r.left),
  ]);
  const [shallow, deep] = results[0]!.depths;
  return [
    'One forward and backward of each network; MiB above the live bytes before it.',
    '',
    formatTable(['network', `depth ${shallow}`, `depth ${deep}`, 'ratio', 'left'], rows),
  ].join('\n');
}

function pairs(
  network: ConstructorParameters<typeof Flattened>[0],
  shape: readonly number[],
  batch: number,
  random: RandomStream,
): Subject {
  const numbers = shape.reduce((a, b) => a * b, 1);
  return {
    network: new Flattened(network, [shape, shape]),
    x: random.normal([batch, 2 * numbers]),
  };
}

/** Two paths of a state each; one sees, at each step, a feature of the condition and of the other path. */
function deepGraph(depth: number, random: RandomStream, hidden: number): GraphNetwork {
  const sizes = { hidden, random };
  const g = graph();
  const c = g.condition('c', [1, ...size]);
  let [seen, moved] = g.split('part', g.input('x', [4, ...size]), { sizes: [2, 2] });
  for (let i = 0; i < depth; i++) {
    const block = new ResidualBlock({ ...sizes, inChannels: 3, outChannels: 2 });
    const feature = g.feature(`feature${i}`, [c, seen], block);
    const coupling = new ConditionalGlowCoupling({ ...sizes, channels: 2, contextChannels: 2 });
    moved = g.node(`couple${i}`, moved, coupling, { conditions: [feature] });
    seen = g.node(`norm${i}`, seen, new ActNorm({ channels: 2 }));
  }
  g.output('y', g.concat('join', [seen, moved]));
  return g.build();
}

async function measurePass(name: string, depth: number): Promise<{ peak: number; left: number }> {
  const deep = await deepNetwork(name, { depth });
  const before = memory().liveBytes;
  resetPeakMemory();
  deep.pass();
  const { liveBytes, peakBytes } = memory();
  deep.dispose();
  return { peak: peakBytes - before, left: liveBytes - before };
}

/** A network of `measuredNetworks`, initialized, its gradients made. */
export async function deepNetwork(
  name: string,
  { depth, hidden = 16, batch = 4 }: Sizes,
): Promise<DeepNetwork> {
  const random = new RandomStream(1);
  const { network, x, context } = subjects[name]!({ depth, hidden, batch, random });
  if (network instanceof Bijection) await initialize(network, x, { context });
  for (const p of network.parameters) {
    using zeros = zerosLike(p.data);
    p.accumulateGrad(zeros);
  }
  return {
    pass: () =>
      network instanceof Bijection ? through(network, x, context) : classify(network, x),
    dispose: () => {
      network.dispose();
      x.dispose();
      context?.dispose();
    },
  };
}

function through(network: Bijection, x: Tensor, context: Tensor | undefined): void {
  const { y, logdet } = network.forward(x, context);
  const dy = affine(y, 1 / x.shape[0]!);
  const dlogdet = affine(logdet, 0, -1 / x.shape[0]!);
  const back = network.backward(y, dy, { dlogdet, context });
  for (const t of [y, logdet, dy, dlogdet, ...Object.values(back)]) t.dispose();
}

function classify(network: RevNet, x: Tensor): void {
  const { y, saved } = network.forward(x);
  const dy = affine(y, 1 / x.shape[0]!);
  const { dx } = network.backward(dy, saved);
  saved.dispose();
  for (const t of [y, dy, dx]) t.dispose();
}
