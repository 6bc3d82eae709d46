/** A convolution of some shape with its two gradients, on our backends. */
import { conv, convFilterGrad, convInputGrad, RandomStream, type Tensor } from '@invnet/tensor';
import { readOne } from './ours.ts';
import type { Operation } from './peer.ts';

/** Padded by half of the kernel. */
export interface ConvCase {
  readonly batch: number;
  readonly inChannels: number;
  readonly outChannels: number;
  /** Of each spatial axis. */
  readonly side: number;
  readonly ndims: 1 | 2 | 3;
  readonly kernel: number;
  readonly stride: number;
}

/** The convolution, and its adjoints in the input and in the filter. */
export const directions = ['forward', 'input gradient', 'filter gradient'] as const;

export type Direction = (typeof directions)[number];

/** A case in one line. */
export function describeCase(c: ConvCase): string {
  const { batch, inChannels, outChannels, side, ndims, kernel, stride } = c;
  const shape = [batch, inChannels, ...new Array<number>(ndims).fill(side)].join(', ');
  const taps = new Array<number>(ndims).fill(kernel).join('×');
  return `${taps} [${shape}] to ${outChannels}${stride > 1 ? `, stride ${stride}` : ''}`;
}

/** Numbers along each axis of the result. */
export function outputSide({ side, kernel, stride }: ConvCase): number {
  return Math.floor((side + 2 * Math.floor(kernel / 2) - kernel) / stride) + 1;
}

/** Of the direct method, in each direction. */
export function convFlops(c: ConvCase): number {
  const taps = (c.kernel * outputSide(c)) ** c.ndims;
  return 2 * c.batch * c.inChannels * c.outChannels * taps;
}

/** The operands of a case on the current backend, and its directions. */
export function makeConvCase(c: ConvCase): {
  readonly compute: Readonly<Record<Direction, () => Tensor>>;
  dispose(): void;
} {
  const random = new RandomStream(1);
  const axes = (size: number) => new Array<number>(c.ndims).fill(size);
  const x = random.uniform([c.batch, c.inChannels, ...axes(c.side)], -1);
  const w = random.uniform([c.outChannels, c.inChannels, ...axes(c.kernel)], -1);
  const dy = random.uniform([c.batch, c.outChannels, ...axes(outputSide(c))], -1);
  const options = { stride: c.stride, padding: Math.floor(c.kernel / 2) };
  return {
    compute: {
      forward: () => conv(x, w, options),
      'input gradient': () => convInputGrad(dy, w, x.shape, options),
      'filter gradient': () => convFilterGrad(x, dy, w.shape, options),
    },
    dispose: () => {
      for (const t of [x, w, dy]) t.dispose();
    },
  };
}

/** How an operation of a case is called. */
export function caseName(c: ConvCase, direction: Direction): string {
  return `${describeCase(c)}: ${direction}`;
}

/** The directions of a case as operations on the current backend. */
export function caseOperations(c: ConvCase): Operation[] {
  const { compute } = makeConvCase(c);
  return directions.map((direction): Operation => {
    return {
      name: caseName(c, direction),
      run: async () => {
        using result = compute[direction]();
        await readOne(result);
      },
      result: async () => {
        using result = compute[direction]();
        return [await result.data()];
      },
    };
  });
}

/** Milliseconds of one direction: the least of some rounds, in which it follows itself without a pause. */
export async function timeDirection(compute: () => Tensor): Promise<number> {
  const round = async (runs: number) => {
    const start = performance.now();
    for (let run = 1; run < runs; run++) compute().dispose();
    using last = compute();
    await readOne(last);
    return (performance.now() - start) / runs;
  };
  await round(1);
  const once = await round(1);
  const runs = Math.min(mostRuns, Math.ceil(enough / once));
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < rounds; i++) best = Math.min(best, await round(runs));
  return best;
}

/** Milliseconds of a round, the most runs in one, and how many rounds there are. */
const enough = 0.5;
const mostRuns = 50;
const rounds = 5;
