/** The operations of `bench gpu` on our backends, and the numbers that every library gets. */
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import { zeroGrad } from '@invnet/layers';
import { Glow } from '@invnet/networks';
import {
  type Backend,
  conv,
  matmul,
  RandomStream,
  setBackend,
  sum,
  type Tensor,
  tensor,
} from '@invnet/tensor';
import {
  glowSizes,
  type Numbers,
  type Operation,
  type OperationSizes,
  operationNames,
  type Problem,
} from './peer.ts';

/** Draws the inputs, on the given backend; the network has met its data. */
export async function makeProblem(backend: Backend, sizes: OperationSizes): Promise<Problem> {
  await setBackend(backend);
  const { channels, side } = sizes;
  const random = new RandomStream(1);
  const normal = (shape: readonly number[], deviation?: number) =>
    download(random.normal(shape, deviation));
  const x = await normal([8, channels, 32, 32]);
  const w = await normal([channels, channels, 3, 3], 0.1);
  const a = await normal([side, side]);
  const b = await normal([side, side]);
  const glow = glowSizes(channels);
  const images = await normal([glow.batch, glow.channels, glow.side, glow.side]);
  const network = new Glow(glow);
  const { y, logdet } = network.forward(tensor(images.values, images.shape));
  y.dispose();
  logdet.dispose();
  const parameters: Numbers[] = [];
  for (const p of network.parameters) {
    // Biases of zero let a ReLU meet an exact zero, where libraries differ in its derivative.
    const { shape, values } = await download(p.data);
    const noise = random.normalArray(values.length, 0.01);
    parameters.push({ shape, values: values.map((v, i) => v + noise[i]!) });
  }
  return { sizes, x, w, a, b, glow, images, parameters };
}

/** The operations on a backend of ours. */
export async function ownOperations(backend: Backend, problem: Problem): Promise<Operation[]> {
  await setBackend(backend);
  const names = operationNames(problem.sizes);
  const upload = ({ shape, values }: Numbers) => tensor(values, shape);
  const [x, w] = [upload(problem.x), upload(problem.w)];
  const [a, b] = [upload(problem.a), upload(problem.b)];
  const images = upload(problem.images);
  const flow = new Flow({ network: new Glow(problem.glow) });
  flow.parameters.forEach((p, i) => {
    p.assign(upload(problem.parameters[i]!));
  });
  const step: Operation = {
    name: names.glow,
    run: async () => {
      negativeLogLikelihood(flow, images).dispose();
      // The first layer's gradient is made last, and the device keeps the order.
      await flow.parameters[0]!.grad!.data();
      zeroGrad(flow.parameters);
    },
    result: async () => {
      const loss = negativeLogLikelihood(flow, images);
      const parts = [await loss.data()];
      for (const p of flow.parameters) parts.push(await p.grad!.data());
      loss.dispose();
      zeroGrad(flow.parameters);
      return parts;
    },
  };
  const operations = [
    operation(names.conv, () => conv(x, w, { padding: 1 })),
    operation(names.product, () => matmul(a, b)),
    step,
  ];
  return operations.map(({ name, run, result }) => ({
    name,
    run: async () => {
      await setBackend(backend);
      await run();
    },
    result: async () => {
      await setBackend(backend);
      return result();
    },
  }));
}

function operation(name: string, compute: () => Tensor): Operation {
  return {
    name,
    run: async () => {
      const result = compute();
      const total = sum(result);
      await total.data();
      total.dispose();
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

async function download(t: Tensor): Promise<Numbers> {
  return { shape: t.shape, values: Float32Array.from(await t.data()) };
}
