/**
 * Memory for time: what a step of training holds and takes with nothing kept, with what conditioners leave, with all
 * states, and with the one or the other by path. Then two layers of any blocks: a function with its inverse, and
 * a reversible block on the left and right halves of images.
 */
import {
  AdditiveCoupling,
  AxisHalves,
  CustomBijection,
  compose,
  initialize,
  type Keep,
  keeping,
  ResidualBlock,
  Swapped,
  zeroGrad,
} from '@invnet/layers';
import { Glow } from '@invnet/networks';
import {
  abs,
  affine,
  memory,
  mul,
  power,
  RandomStream,
  resetPeakMemory,
  sign,
  square,
  tidy,
} from '@invnet/tensor';
import { report } from '../check.ts';

const random = new RandomStream(1);
const images = random.normal([8, 3, 16, 16]);

console.log('Glow, forward and backward of [8, 3, 16, 16]:');
for (const steps of [2, 8]) {
  const network = new Glow({ channels: 3, hidden: 48, scales: 2, steps, random });
  await initialize(network, images);
  const keeps: Readonly<Record<string, Keep>> = {
    nothing: 'nothing',
    inputs: 'inputs',
    all: 'all',
    'inputs of the first scale': { 'scales.0': 'inputs' },
  };
  for (const [name, keep] of Object.entries(keeps)) {
    const step = () =>
      keeping(keep, () =>
        tidy(() => {
          const { y, logdet } = network.forward(images);
          network.backward(y, y, { dlogdet: affine(logdet, 0, -1) });
        }),
      );
    for (let i = 0; i < 3; i++) step();
    const before = memory().liveBytes;
    resetPeakMemory();
    const start = performance.now();
    for (let i = 0; i < 3; i++) step();
    const milliseconds = (performance.now() - start) / 3;
    const held = (memory().peakBytes - before) / 2 ** 20;
    console.log(
      `  K = ${steps}, ${name.padEnd(25)} ${held.toFixed(2).padStart(6)} MiB, ${milliseconds.toFixed(1)} ms`,
    );
    zeroGrad(network.parameters);
  }
}

// x³, whose backward knows nothing but the derivative at a point.
const cubes = new CustomBijection({
  forward: (x) => mul(x, square(x)),
  inverse: (y) => mul(sign(y), power(abs(y), 1 / 3)),
  backward: (x, dy) => ({ dx: affine(mul(dy, square(x)), 3) }),
});
const { y: cubed } = cubes.forward(images);
const { x, dx } = cubes.backward(cubed, affine(images, 0.1));
await report('cubes: input recomputed by backward', x, images);
await report('cubes: gradient, 0.3 x³', dx, affine(cubed, 0.3));

// y₁ = x₁ + F(x₂), y₂ = x₂ + G(y₁) on the halves of the last axis.
const block = () => new ResidualBlock({ inChannels: 3, hidden: 16, outChannels: 3, random });
const inner = compose(new Swapped(new AdditiveCoupling(block())), new AdditiveCoupling(block()));
const reversible = new AxisHalves({ inner, axis: 3 });
await report('reversible block', reversible.inverse(reversible.forward(images).y).x, images);
