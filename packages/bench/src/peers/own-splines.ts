/** Flows of two couplings on our backends, by splines or affine, and the numbers that every library gets. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import {
  AffineTransformer,
  namedParameters,
  RationalQuadraticSpline,
  Sequential,
  TransformerCoupling,
  zeroGrad,
} from '@invnet/layers';
import { type Backend, RandomStream, setBackend, tensor } from '@invnet/tensor';
import { Adam } from '@invnet/train';
import { scratchFolder } from '../scratch.ts';
import { readOne } from './ours.ts';
import type { Operation } from './peer.ts';
import { writeFloats } from './problem-files.ts';

/** Sizes of a flow and of its data. */
export interface SplineCase {
  readonly batch: number;
  readonly features: number;
  readonly hidden: number;
  readonly bins: number;
}

/** The data, and the parameters of the flow of splines in the order of ours. */
export interface SplineProblem {
  readonly sizes: SplineCase;
  readonly x: Float32Array;
  readonly parameters: readonly Float32Array[];
}

const bound = 3;

/** A case in words. */
export function describeSplineCase({ batch, features, hidden, bins }: SplineCase): string {
  return `[${batch}, ${features}], hidden ${hidden}, ${bins} bins`;
}

/** Draws the numbers. */
export async function makeSplineProblem(sizes: SplineCase): Promise<SplineProblem> {
  const random = new RandomStream(1);
  const flow = flowOf(sizes, 'splines');
  const parameters: Float32Array[] = [];
  for (const { data } of flow.parameters) {
    const values = await data.data();
    // Off the start, where all bins are alike and a ReLU may meet an exact zero.
    const noise = random.normalArray(values.length, 0.01);
    parameters.push(Float32Array.from(values, (v, i) => v + noise[i]!));
  }
  flow.dispose();
  const x = Float32Array.from(random.normalArray(sizes.batch * sizes.features, 1.5));
  return { sizes, x, parameters };
}

/** Writes it where a program in Python finds it; returns the path. */
export async function writeSplineProblem({ sizes, x, parameters }: SplineProblem): Promise<string> {
  const folder = await scratchFolder();
  const [path, numbers] = [join(folder, 'splines.json'), join(folder, 'numbers.bin')];
  await writeFloats(numbers, [x, ...parameters]);
  await writeFile(path, JSON.stringify({ ...sizes, bound, numbers }));
  return path;
}

/** A training step on a backend. */
export async function ownSplines(
  backend: Backend,
  { sizes, x, parameters }: SplineProblem,
  kind: 'splines' | 'affine',
): Promise<readonly Operation[]> {
  await setBackend(backend);
  const flow = flowOf(sizes, kind);
  const data = tensor(x, [sizes.batch, sizes.features]);
  if (kind === 'splines') {
    flow.parameters.forEach((p, i) => {
      using values = tensor(parameters[i]!, p.shape);
      p.assign(values);
    });
  }
  const adam = new Adam();
  const run = async () => {
    await setBackend(backend);
    negativeLogLikelihood(flow, data).dispose();
    // A rate so small that all steps are alike.
    adam.step(flow.parameters, { learningRate: 1e-9 });
    zeroGrad(flow.parameters);
    await readOne(flow.parameters[0]!.data);
  };
  const result = async () => {
    await setBackend(backend);
    using loss = negativeLogLikelihood(flow, data);
    const results = [await loss.data()];
    // Rows of the last layers stand in another order elsewhere.
    for (const [path, p] of namedParameters(flow)) {
      if (!path.endsWith('3')) results.push(await p.grad!.data());
    }
    zeroGrad(flow.parameters);
    return results;
  };
  return [{ name: kind, run, result }];
}

function flowOf({ features, hidden, bins }: SplineCase, kind: 'splines' | 'affine'): Flow {
  const random = new RandomStream(2);
  const transformer =
    kind === 'splines' ? new RationalQuadraticSpline({ bins, bound }) : new AffineTransformer();
  const couplings = (['second', 'first'] as const).map((moves) => {
    const sizes = { channels: features, hidden, ndims: 0, random };
    return new TransformerCoupling({ ...sizes, transformer, moves });
  });
  return new Flow({ network: new Sequential(couplings) });
}
