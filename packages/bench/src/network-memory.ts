/**
 * Peak memory of one forward and backward of every deep network of the library, at two depths. The
 * peak of the deeper one is that of the shallower: no state is kept between layers.
 *
 * Parameters and their gradients are set aside, as in the table of Glow.
 */
import { type Bijection, Flattened, initialize, type PairShape } from '@invnet/layers';
import {
  ConditionalGlow,
  ConditionalHint,
  Glow,
  HyperbolicNetwork,
  MultiScaleConditionalHint,
  MultiScaleHint,
  UnrolledLoop,
} from '@invnet/networks';
import {
  affine,
  full,
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
  readonly network: Bijection;
  readonly x: Tensor;
  readonly context?: Tensor;
}

const size = [16, 16];
const batch = 4;

/** Networks by name; each is made anew at each depth. */
const subjects: Readonly<Record<string, (depth: number, random: RandomStream) => Subject>> = {
  Glow: (steps, random) => ({
    network: new Glow({ channels: 1, hidden: 16, scales: 2, steps, random }),
    x: random.normal([batch, 1, ...size]),
  }),
  ConditionalGlow: (steps, random) => ({
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
  MultiScaleHint: (steps, random) => ({
    network: new MultiScaleHint({ channels: 1, hidden: 16, scales: 2, steps, random }),
    x: random.normal([batch, 1, ...size]),
  }),
  ConditionalHint: (steps, random) => {
    const network = new ConditionalHint({ channels: 4, hidden: 16, steps, random });
    return pairs(network, [4, ...size], random);
  },
  MultiScaleConditionalHint: (steps, random) => {
    const options = { channels: 1, hidden: 16, scales: 2, steps, random };
    return pairs(new MultiScaleConditionalHint(options), [1, ...size], random);
  },
  HyperbolicNetwork: (depth, random) => {
    const architecture = Array.from({ length: depth }, () => ({ hidden: 8 }));
    return pairs(
      new HyperbolicNetwork({ channels: 4, architecture, stepSize: 0.1, random }),
      [4, ...size],
      random,
    );
  },
  UnrolledLoop: (iterations, random) => {
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
  random: RandomStream,
): Subject {
  const numbers = shape.reduce((a, b) => a * b, 1);
  return {
    network: new Flattened(network, [shape, shape]),
    x: random.normal([batch, 2 * numbers]),
  };
}

async function measurePass(name: string, depth: number): Promise<{ peak: number; left: number }> {
  const { network, x, context } = subjects[name]!(depth, new RandomStream(1));
  await initialize(network, x, { context });
  for (const p of network.parameters) {
    using zeros = zerosLike(p.data);
    p.accumulateGrad(zeros);
  }
  const before = memory().liveBytes;
  resetPeakMemory();
  const { y, logdet } = network.forward(x, context);
  logdet.dispose();
  const dy = affine(y, 1 / batch);
  const dlogdet = full([batch], -1 / batch);
  const back = network.backward(y, dy, { dlogdet, context });
  for (const t of [y, dy, dlogdet, ...Object.values(back)]) t.dispose();
  const { liveBytes, peakBytes } = memory();
  network.dispose();
  x.dispose();
  context?.dispose();
  return { peak: peakBytes - before, left: liveBytes - before };
}
