/**
 * An invertible U-Net between two convolutions takes the noise off images of discs: what it keeps for its backward
 * is its result alone, however deep it is.
 */
import { asConditioner, Conv, chain, keeping, zeroGrad } from '@invnet/layers';
import { InvertibleUNet } from '@invnet/networks';
import {
  add,
  affine,
  memory,
  RandomStream,
  resetPeakMemory,
  sub,
  sumSquares,
  type Tensor,
  tensor,
} from '@invnet/tensor';
import { Adam } from '@invnet/train';

const random = new RandomStream(1);
const [side, batch, channels] = [16, 8, 8];

/** From an image to an image, with so many couplings at each level on either way. */
const denoiser = (steps: number) =>
  chain(
    new Conv({ inChannels: 1, outChannels: channels, random }),
    asConditioner(new InvertibleUNet({ channels, levels: 3, steps, hidden: 16, random })),
    new Conv({ inChannels: channels, outChannels: 1, gain: 0.1, random }),
  );

/** Images of a bright disc each, and the same with noise. */
function draw(): { clean: Tensor; noisy: Tensor } {
  const values = new Float32Array(batch * side * side);
  for (let n = 0; n < batch; n++) {
    const [x, y, r] = random.uniformArray(3, 0, 1);
    const [centreX, centreY, radius] = [4 + 8 * x!, 4 + 8 * y!, 2 + 3 * r!];
    for (let i = 0; i < side * side; i++) {
      const away = Math.hypot((i % side) - centreX, Math.floor(i / side) - centreY);
      values[n * side * side + i] = away < radius ? 1 : 0;
    }
  }
  const clean = tensor(values, [batch, 1, side, side]);
  using noise = random.normal(clean.shape, 0.5);
  return { clean, noisy: add(clean, noise) };
}

/** ½ the mean squared error of a batch; gradients are added to those of the parameters. */
function loss(net: ReturnType<typeof denoiser>, clean: Tensor, noisy: Tensor): Tensor {
  const { y, saved } = net.forward(noisy);
  using error = sub(y, clean);
  using dy = affine(error, 1 / error.size);
  net.backward(dy, saved).dx.dispose();
  saved.dispose();
  y.dispose();
  using squares = sumSquares(error);
  return affine(squares, 0.5 / error.size);
}

const net = denoiser(2);
const adam = new Adam();
for (let step = 1; step <= 150; step++) {
  const { clean, noisy } = draw();
  zeroGrad(net.parameters);
  using found = loss(net, clean, noisy);
  adam.step(net.parameters, { learningRate: 4e-3 });
  if (step === 1 || step % 50 === 0) {
    const error = Math.sqrt(2 * (await found.data())[0]!);
    console.log(`step ${step}: error ${error.toFixed(3)}, of the noisy images 0.500`);
  }
  clean.dispose();
  noisy.dispose();
}
adam.dispose();

for (const steps of [2, 8]) {
  for (const keep of ['nothing', 'inputs'] as const) {
    const deep = denoiser(steps);
    const { clean, noisy } = draw();
    loss(deep, clean, noisy).dispose(); // makes the gradients
    const before = memory().liveBytes;
    resetPeakMemory();
    keeping(keep, () => loss(deep, clean, noisy).dispose());
    const kib = (memory().peakBytes - before) / 1024;
    console.log(`${steps} couplings a level, keeping ${keep}: ${kib.toFixed(0)} KiB`);
    for (const t of [clean, noisy]) t.dispose();
    deep.dispose();
  }
}
