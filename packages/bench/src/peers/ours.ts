/** The operations on our backends, and the numbers that every library gets. */
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import { initialize, zeroGrad } from '@invnet/layers';
import { Glow } from '@invnet/networks';
import {
  type Backend,
  conv,
  convFilterGrad,
  convInputGrad,
  matmul,
  RandomStream,
  setBackend,
  slice,
  type Tensor,
  tensor,
} from '@invnet/tensor';
import {
  type GlowSizes,
  glowSizes,
  type Numbers,
  type Operation,
  type OperationSizes,
  operationNames,
  type Problem,
  type Wanted,
} from './peer.ts';

/** Draws the inputs, on the given backend; the network is initialized by its data. */
export async function makeProblem(
  backend: Backend,
  sizes: OperationSizes,
  glow: GlowSizes = glowSizes(sizes.channels),
): Promise<Problem> {
  await setBackend(backend);
  const { channels, side } = sizes;
  const random = new RandomStream(1);
  const normal = (shape: readonly number[], deviation?: number) =>
    download(random.normal(shape, deviation));
  const x = await normal([8, channels, 32, 32]);
  const w = await normal([channels, channels, 3, 3], 0.1);
  const w1 = await normal([channels, channels, 1, 1], 0.1);
  const dy = await normal(x.shape);
  const a = await normal([side, side]);
  const b = await normal([side, side]);
  const images = await normal([glow.batch, glow.channels, glow.side, glow.side]);
  const network = glowOf(glow);
  using batch = tensor(images.values, images.shape);
  await initialize(network, batch);
  const parameters: Numbers[] = [];
  for (const p of network.parameters) {
    // Biases of zero let a ReLU meet an exact zero, where libraries differ in its derivative.
    const { shape, values } = await download(p.data);
    const noise = random.normalArray(values.length, 0.01);
    parameters.push({ shape, values: values.map((v, i) => v + noise[i]!) });
  }
  return { sizes, x, w, w1, dy, a, b, glow, images, parameters };
}

/** The operations on a backend of ours. */
export async function ownOperations(
  backend: Backend,
  problem: Problem,
  wanted: Wanted,
): Promise<Operation[]> {
  await setBackend(backend);
  const names = operationNames(problem.sizes);
  const upload = ({ shape, values }: Numbers) => tensor(values, shape);
  const [x, w] = [upload(problem.x), upload(problem.w)];
  const [w1, dy] = [upload(problem.w1), upload(problem.dy)];
  const [a, b] = [upload(problem.a), upload(problem.b)];
  const same = { padding: 1 };
  const all: Record<Wanted[number], () => Operation> = {
    conv: () => operation(names.conv, () => conv(x, w, same)),
    inputGrad: () => operation(names.inputGrad, () => convInputGrad(dy, w, x.shape, same)),
    filterGrad: () => operation(names.filterGrad, () => convFilterGrad(x, dy, w.shape, same)),
    pointwise: () => operation(names.pointwise, () => conv(x, w1)),
    product: () => operation(names.product, () => matmul(a, b)),
    glow: () => glowStep(names.glow, problem),
  };
  return wanted.map((key) => {
    const { name, run, result } = all[key]();
    return {
      name,
      run: async () => {
        await setBackend(backend);
        await run();
      },
      result: async () => {
        await setBackend(backend);
        return (await result?.()) ?? [];
      },
    };
  });
}

function glowOf({ channels, hidden, scales, steps }: GlowSizes): Glow {
  return new Glow({ channels, hidden, scales, steps });
}

/** The network of a problem, with its parameters, and its images. */
export function ownGlow({ glow, images, parameters }: Problem) {
  const flow = new Flow({ network: glowOf(glow) });
  flow.parameters.forEach((p, i) => {
    using values = tensor(parameters[i]!.values, parameters[i]!.shape);
    p.assign(values);
  });
  return { flow, x: tensor(images.values, images.shape) };
}

function glowStep(name: string, problem: Problem): Operation {
  const { flow, x } = ownGlow(problem);
  return {
    name,
    run: async () => {
      negativeLogLikelihood(flow, x).dispose();
      // The first layer's gradient is made last, and the device keeps the order.
      await flow.parameters[0]!.grad!.data();
      zeroGrad(flow.parameters);
    },
    result: async () => {
      const loss = negativeLogLikelihood(flow, x);
      const parts = [await loss.data()];
      for (const p of flow.parameters) parts.push(await p.grad!.data());
      loss.dispose();
      zeroGrad(flow.parameters);
      return parts;
    },
  };
}

/** Backends may compute later than they are called, so a number of the result is read. */
function operation(name: string, compute: () => Tensor): Operation {
  return {
    name,
    run: async () => {
      const result = compute();
      await readOne(result);
      result.dispose();
    },
    result: async () => {
      const result = compute();
      const values = await result.data();
      result.dispose();
      return [values];
    },
  };
}

/** Ends when a tensor, and all that was computed before it, is there. */
export async function readOne(t: Tensor): Promise<void> {
  using flat = t.reshape([-1]);
  using first = slice(flat, 0, 0, 1);
  await first.data();
}

async function download(t: Tensor): Promise<Numbers> {
  return { shape: t.shape, values: Float32Array.from(await t.data()) };
}
