/**
 * A density of three shares of a whole, by linear and constraining layers alone: rotations, scales and shifts,
 * and rectifiers whose slopes are trained. Draws the triangle of shares, of the data and of samples.
 */
import { Flow } from '@invnet/flows';
import {
  AffineTransformer,
  compose,
  ElementwiseTransform,
  exp,
  InvertibleBatchNorm,
  LearnedSlopes,
  Orthogonal,
  reverse,
  StickBreaking,
} from '@invnet/layers';
import { RandomStream, type Tensor, tensor } from '@invnet/tensor';
import { maximizeLikelihood } from '../train.ts';

const channels = 2;
const random = new RandomStream(1);

/** Shares along a bow: whoever gains does so from one of the others, then from the other one. */
function shares(count: number): Tensor {
  const [angle, radius] = [random.uniformArray(count), random.normalArray(count)];
  const points = Array.from({ length: count }, (_, i) => {
    const turn = Math.PI * (angle[i]! - 0.3);
    const size = 0.2 + 0.02 * radius[i]!;
    return [0, (2 * Math.PI) / 3].map((phase) => 1 / 3 + size * Math.cos(turn + phase));
  });
  return tensor(points.flat(), [count, channels]);
}

/** The triangle of shares, by how many points are in each cell. */
async function draw(title: string, y: Tensor): Promise<void> {
  const rows = 17;
  const counts = Array.from({ length: rows }, () => new Array<number>(2 * rows + 1).fill(0));
  const values = await y.data();
  for (let i = 0; i < values.length; i += channels) {
    const [first, second] = [values[i]!, values[i + 1]!];
    const row = Math.min(rows - 1, Math.floor((1 - second) * rows));
    counts[row]![Math.round((first - (1 - first - second)) * rows) + rows]! += 1;
  }
  console.log(title);
  for (const [row, cells] of counts.entries()) {
    const line = cells.map((n, i) => {
      const edge = Math.abs(i - rows) === row;
      return ' .:*#@'[Math.min(5, Math.ceil(n / 4))]!.replace(' ', edge ? '·' : ' ');
    });
    console.log(line.join(''));
  }
}

const step = () => [
  new Orthogonal({ channels, random }),
  new ElementwiseTransform({
    channels,
    transformer: new AffineTransformer({ scaleFunction: exp() }),
  }),
  new LearnedSlopes({ channels, above: 1.3, below: 0.7 }),
];
const network = compose(
  reverse(new StickBreaking({ channels })),
  new InvertibleBatchNorm({ channels }),
  ...Array.from({ length: 8 }, step).flat(),
  new Orthogonal({ channels, random }),
);
const flow = new Flow({ network });
await maximizeLikelihood(flow, () => ({ x: shares(256) }), { steps: 150, learningRate: 2e-2 });
await draw('shares, as they come', shares(1000));
await draw('as they are drawn', flow.sample({ shape: [1000, channels], seed: 2 }));
