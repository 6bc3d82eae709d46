/**
 * Training with step lengths from Jacobians: a Glow learns to map a photograph to a noisy one, and
 * each gradient step is as long as the quadratic model ½‖r − t J g‖² says. Writes the losses as a
 * picture.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { curves } from '@invnet/figures';
import { addInPlace, disposeVector, innerProduct, jacobian } from '@invnet/jvp';
import { initialize } from '@invnet/layers';
import { Glow } from '@invnet/networks';
import { add, RandomStream, sub } from '@invnet/tensor';
import { photograph } from '../photograph.ts';

const random = new RandomStream(1);
const x = await photograph(32);
const target = add(x, random.normal(x.shape, 0.05));
const net = new Glow({ channels: 1, hidden: 16, scales: 2, steps: 2, random });
await initialize(net, x);

const losses: number[] = [];
for (let iteration = 0; iteration < 25; iteration++) {
  const { y, logdet } = net.forward(x);
  const residual = sub(y, target);
  losses.push((await innerProduct(residual, residual)) / 2);
  const J = jacobian(net, x, { with: 'parameters' });
  const gradient = J.adjoint.apply(residual);
  const change = J.apply(gradient);
  const length = (await innerProduct(residual, change)) / (await innerProduct(change, change));
  J.parameters.forEach((p, i) => {
    addInPlace(p.data, gradient[i]!, -length);
  });
  for (const v of [y, logdet, residual, gradient, change]) disposeVector(v);
  J.dispose();
}
console.log(`misfit: ${losses[0]!.toFixed(2)} → ${losses.at(-1)!.toFixed(2)}`);
await mkdir('out/gallery', { recursive: true });
const picture = curves({
  title: 'Gradient steps with lengths from the Jacobian',
  x: { label: 'iteration' },
  y: { label: '½‖f(x) − target‖²' },
  series: [{ x: [...losses.keys()], y: losses }],
});
await writeFile('out/gallery/step-lengths.svg', picture.svg);
console.log('written: out/gallery/step-lengths.svg');
