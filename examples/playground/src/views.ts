/** What is drawn of a flow on points of the plane, as numbers. Runs in the worker. */
import type { Samplable } from '@invnet/datasets';
import type { Flow } from '@invnet/flows';
import { type Bijection, Sequential } from '@invnet/layers';
import { Glow } from '@invnet/networks';
import { RandomStream, type Shape, type Tensor, tensor, tidy } from '@invnet/tensor';
import { cells, dataExtent, lines, reach, type Views } from './protocol.ts';

const shown = 600;
/** Of the samples' coordinates this part is inside the picture; the rest may lie far away. */
const inside = 0.98;

/** @param input - The shape of a point in the flow. */
export async function viewsOf(
  flow: Flow,
  input: Shape,
  data: Samplable | undefined,
  seed: number,
): Promise<Views> {
  const random = new RandomStream(seed, 2 ** 41);
  using drawn = flow.sample({ shape: flow.outputShape([shown, ...input]), seed: random });
  const samples = await host(drawn);
  const extent = data ? dataExtent : extentOf(samples);
  using lattice = pointsOf(square(cells, extent), input);
  using logs = flow.logProb(lattice);
  using chosen = data?.sample(shown, random);
  return {
    extent,
    data: chosen ? await host(chosen) : new Float32Array(),
    samples,
    density: (await host(logs)).map(Math.exp),
    baseToData: await baseToData(flow, input),
    dataToBase: await dataToBase(flow, input, (reach * extent) / dataExtent),
  };
}

async function dataToBase({ network }: Flow, input: Shape, half: number): Promise<Float32Array[]> {
  const start = pointsOf(square(lines, half), input);
  return through(start, layersOf(network), (layer, x) => layer.forward(x).y);
}

async function baseToData({ network }: Flow, input: Shape): Promise<Float32Array[]> {
  const [, ...output] = network.outputShape([1, ...input]);
  const start = pointsOf(square(lines, reach), output);
  return through(start, layersOf(network).toReversed(), (layer, y) => layer.inverse(y).x);
}

/** What the slider steps through: layers of a sequence, steps of a Glow; another network is one step. */
function layersOf(network: Bijection): readonly Bijection[] {
  // On vectors a Glow squeezes nothing, and two channels cannot be split between its scales.
  if (network instanceof Glow && network.sizes.ndims === 0) {
    return network.scales.flatMap(({ steps }) => steps.layers);
  }
  if (!(network instanceof Sequential)) return [network];
  return network.length === 1 ? layersOf(network.at(0)) : network.layers;
}

/** A lattice before and after each layer. */
async function through(
  start: Tensor,
  layers: readonly Bijection[],
  step: (layer: Bijection, state: Tensor) => Tensor,
): Promise<Float32Array[]> {
  let state = start;
  const states = [await host(state)];
  for (const layer of layers) {
    using before = state;
    state = tidy(() => step(layer, before));
    states.push(await host(state));
  }
  state.dispose();
  return states;
}

/** The data of the page lie in one plane; samples of a foreign model may need another. */
function extentOf(samples: Float32Array): number {
  const sizes = samples.map(Math.abs).filter(Number.isFinite).sort();
  const size = sizes[Math.floor(inside * (sizes.length - 1))] ?? 0;
  if (size <= dataExtent && size > dataExtent / 8) return dataExtent;
  const digit = 10 ** Math.floor(Math.log10(size));
  return size === 0 ? dataExtent : digit * Math.ceil(size / digit);
}

function pointsOf(points: Float32Array, input: Shape): Tensor {
  return tensor(points, [points.length / 2, ...input]);
}

async function host(t: Tensor): Promise<Float32Array> {
  return Float32Array.from(await t.data());
}

/** A square lattice of n × n points over [−half, half]², row by row from below. */
function square(n: number, half: number): Float32Array {
  const points = new Float32Array(2 * n * n);
  for (let i = 0; i < n * n; i++) {
    points[2 * i] = half * ((2 * (i % n)) / (n - 1) - 1);
    points[2 * i + 1] = half * ((2 * Math.floor(i / n)) / (n - 1) - 1);
  }
  return points;
}
