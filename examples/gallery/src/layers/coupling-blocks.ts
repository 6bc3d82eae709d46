/**
 * Couplings by what they mix: which numbers of y depend on which of x. Half of the channels, listed channels, both
 * sides in turn, and a checkerboard within one channel; then a block that scales every channel and keeps volumes.
 */
import {
  AffineTransformer,
  type Bijection,
  expClamp,
  MaskedCoupling,
  reverse,
  TransformerCoupling,
  TwoSidedCoupling,
  VolumePreservingTransformer,
} from '@invnet/layers';
import { add, RandomStream, type Shape, type Tensor, tensor } from '@invnet/tensor';
import { report } from '../check.ts';

const random = new RandomStream(1);
const transformer = new AffineTransformer({ scaleFunction: expClamp() });
const vectors = { channels: 6, ndims: 0, hidden: 16, transformer, random };
const images = { channels: 1, hidden: 16, transformer, random };

await show('TransformerCoupling of two halves', new TransformerCoupling(vectors), [6]);
const listed = new TransformerCoupling({ ...vectors, split: { first: [0, 2, 4] } });
await show('TransformerCoupling of listed channels', listed, [6]);
await show(
  'TwoSidedCoupling, a third and the rest',
  new TwoSidedCoupling({ ...vectors, split: 1 / 3 }),
  [6],
);
await show('MaskedCoupling on 3 by 3 pixels', new MaskedCoupling(images), [1, 3, 3]);

const preserving = new VolumePreservingTransformer({ scaleFunction: expClamp() });
const gin = new TwoSidedCoupling({ ...vectors, transformer: preserving });
stir(gin);
const x = random.normal([1, 6]);
const { dy } = gin.jvp(x, { x });
console.log('GIN stretches a direction from', await norm(x), 'to', await norm(dy));
console.log('its log-determinant:', (await gin.forward(x).logdet.data())[0]);

/** Prints the pattern of a map's Jacobian, after a check of its inverse. */
async function show(name: string, f: Bijection, shape: Shape): Promise<void> {
  stir(f);
  const size = shape.reduce((a, b) => a * b);
  const point = random.normal([1, ...shape]);
  const points = tensor(
    new Array(size).fill(await point.data()).flatMap((p) => [...p]),
    [size, ...shape],
  );
  const directions = tensor(identity(size), [size, ...shape]);
  const { y, dy } = f.jvp(points, { x: directions }); // row j: the derivative by number j
  await report(`${name}, inverse`, reverse(f).forward(y).y, points);
  const slopes = await dy.data();
  for (let i = 0; i < size; i++) {
    const row = Array.from({ length: size }, (_, j) => (slopes[j * size + i] === 0 ? '·' : '■'));
    console.log(`  ${row.join(' ')}`);
  }
}

/** Moves parameters off their start, which is near the identity. */
function stir(f: Bijection): void {
  for (const p of f.parameters) {
    using step = random.normal(p.shape, 0.3);
    using moved = add(p.data, step);
    p.assign(moved);
  }
}

function identity(size: number): number[] {
  return Array.from({ length: size * size }, (_, i) => Number(i % (size + 1) === 0));
}

async function norm(t: Tensor): Promise<string> {
  return Math.hypot(...(await t.data())).toFixed(3);
}
