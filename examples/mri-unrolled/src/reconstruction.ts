/** From data to an image by the loop, and the loss to train it with. */
import { halfSquaredError, type Loss, ssimLoss } from '@invnet/metrics';
import type { UnrolledLoop } from '@invnet/networks';
import {
  add,
  affine,
  concat,
  div,
  mul,
  slice,
  sqrt,
  square,
  type Tensor,
  tidy,
  zeros,
  zerosLike,
} from '@invnet/tensor';
import type { Modality, Scan } from './modality.ts';

/** A loop and the physics that it solves for. */
export interface Solver {
  readonly loop: UnrolledLoop;
  /** Of the loop, channels. */
  readonly memory: number;
  readonly modality: Modality;
}

/**
 * The images that the loop makes of a scan's data. Complex ones are means over the four quarter turns of the phase: data
 * that are turned have images that are, while what the loop gets wrong of them differs.
 */
export function reconstruct(solver: Solver, scan: Scan): Tensor {
  const turns = solver.modality.channels === 2 ? 4 : 1;
  return tidy(() => {
    const images = Array.from({ length: turns }, (_, quarters) =>
      tidy(() => {
        const [data, start] = [turned(scan.data, quarters), turned(scan.start, quarters)];
        const { estimate } = iterate(solver, { ...scan, data, start });
        return turned(solver.modality.consistent(estimate, data), -quarters);
      }),
    );
    return affine(images.reduce(add), 1 / turns);
  });
}

/** i^quarters·x for complex x, [N, 2, …]; x itself for none. */
export function turned(x: Tensor, quarters: number): Tensor {
  if (quarters === 0) return x;
  const [re, im] = [slice(x, 1, 0, 1), slice(x, 1, 1, 1)];
  const sign = quarters === 1 || quarters === -3 ? -1 : 1;
  if (quarters % 2 === 0) return affine(x, -1);
  return concat([affine(im, sign), affine(re, -sign)], 1);
}

/**
 * What is minimized, ½‖u − truth‖² in units of its usual size or, in part, 1 − SSIM; gradients are added to those of
 * the loop's parameters.
 */
export function reconstructionLoss(solver: Solver, scan: Scan, ssimPart: number): Tensor {
  const { loop, modality } = solver;
  return tidy(() => {
    const { estimate, memory } = iterate(solver, scan);
    const image = modality.consistent(estimate, scan.data);
    const { loss, gradient } = imageLoss(image, scan.truth, ssimPart);
    const dy = [modality.throughConsistent(gradient), zerosLike(memory)] as const;
    loop.backward([estimate, memory], dy, { context: scan.data });
    return loss;
  });
}

/** Estimate and memory after all iterations, from the classical image and an empty memory on. */
function iterate({ loop, memory }: Solver, { start, data, prepare }: Scan) {
  prepare();
  const [count, , ...size] = start.shape as [number, number, number, number];
  const { y } = loop.forward([start, zeros([count, memory, ...size])], data);
  return { estimate: y[0], memory: y[1] };
}

/** Half a mean square of this size counts as 1, about as much as 1 − SSIM. */
const usualError = 0.005;

function imageLoss(u: Tensor, truth: Tensor, ssimPart: number): Loss {
  const [count] = u.shape as [number];
  const squares = halfSquaredError(u, truth);
  const scale = count / (u.size * usualError);
  const plain = { loss: affine(squares.loss, scale), gradient: affine(squares.gradient, scale) };
  if (ssimPart === 0) return plain;
  const ssim = magnitudeSsim(u, truth);
  const mixed = (a: Tensor, b: Tensor) => add(affine(a, 1 - ssimPart), affine(b, ssimPart));
  return { loss: mixed(plain.loss, ssim.loss), gradient: mixed(plain.gradient, ssim.gradient) };
}

/** 1 − SSIM of magnitudes, |u| = √(Σ u_c² + ε) for channels c. */
function magnitudeSsim(u: Tensor, truth: Tensor): Loss {
  const [m, t] = [magnitude(u), magnitude(truth)];
  const { loss, gradient } = ssimLoss(m, t, { range: 1 });
  const along = div(gradient, m);
  const parts = Array.from({ length: u.shape[1]! }, (_, c) => mul(along, slice(u, 1, c, 1)));
  return { loss, gradient: concat(parts, 1) };
}

/** [N, 1, H, W], kept from zero, where it has no derivative. */
function magnitude(u: Tensor): Tensor {
  const squares = Array.from({ length: u.shape[1]! }, (_, c) => square(slice(u, 1, c, 1)));
  return sqrt(affine(squares.reduce(add), 1, 1e-10));
}
