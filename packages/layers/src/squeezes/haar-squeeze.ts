/** The Haar transform as a squeeze. Mathematics: docs/math/squeezes/haar-squeeze.md */
import { matmul, type Tensor, tensor } from '@invnet/tensor';
import { gather, scatter } from './shuffle-squeeze.ts';
import { Squeeze } from './squeeze.ts';

/**
 * One level of the orthonormal Haar transform: every 2ᵈ block becomes its averages and differences
 * along each axis. The first C channels are the low-pass band; channels are ordered k·C + c.
 *
 * @example const { y } = new HaarSqueeze().forward(x); // [N, C, H, W] → [N, 4C, H/2, W/2]
 */
export class HaarSqueeze extends Squeeze {
  static readonly type: string = 'HaarSqueeze';

  get options() {
    return {};
  }

  protected squeeze(x: Tensor): Tensor {
    return mixBands(gather(x, 'checkerboard', 'position'));
  }

  protected unsqueeze(y: Tensor): Tensor {
    return scatter(mixBands(y), 'checkerboard', 'position');
  }
}

/** Multiplies the 2ᵈ bands by the symmetric orthonormal Hadamard matrix, its own inverse. */
function mixBands(y: Tensor): Tensor {
  const bands = 2 ** (y.rank - 2);
  const hadamard = new Float64Array(bands * bands);
  for (let i = 0; i < bands; i++) {
    for (let j = 0; j < bands; j++) {
      let sign = 1;
      for (let bits = i & j; bits > 0; bits >>= 1) if (bits & 1) sign = -sign;
      hadamard[i * bands + j] = sign / Math.sqrt(bands);
    }
  }
  const matrix = tensor(hadamard, [bands, bands], y);
  return matmul(matrix, y.reshape([y.shape[0]!, bands, -1])).reshape(y.shape);
}
