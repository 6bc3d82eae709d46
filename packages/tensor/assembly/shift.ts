/**
 * Convolutions of stride 1 with few outputs and many channels, y[m, q] = Σ_t Σ_c w[m, c, t] x[c, q+t]:
 * first Z[(m, t), q] = Σ_c w[m, c, t] x[c, q], a product that reads x once instead of once per tap,
 * then y[m, q] = Σ_t Z[(m, t), q + t − padding]. With few outputs, copying x once per tap would cost
 * more than all arithmetic.
 *
 * Z exists for a few samples, or a few depth slices of one sample, at a time. Where the depth is 1,
 * the TypeScript side passes the height as depth, so that images too are cut into strips.
 */
import { Product, Shift } from './plan';
import { own, productOver } from './product';
import { ownScratch } from './scratch';

// @ts-ignore: decorator
@inline
function addLine(to: usize, from: usize, count: i32): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    v128.store(to, f32x4.add(v128.load(to), v128.load(from)));
    to += 16;
    from += 16;
  }
  for (; i < count; i++) {
    store<f32>(to, load<f32>(to) + load<f32>(from));
    to += 4;
    from += 4;
  }
}

/** One line of y; `z` is where the source's first position would lie in Z's row (m, 0). */
function sumLine(s: Shift, d: i32, h: i32, z: usize, zRow: usize, y: usize, bias: f32): void {
  const width = s.outputW;
  const end = y + ((<usize>width) << 2);
  for (let to = y; to < end; to += 4) store<f32>(to, bias);
  for (let a = 0; a < s.tapsD; a++) {
    const atD = d + a - s.paddingD;
    if (atD < 0 || atD >= s.sourceD) continue;
    for (let b = 0; b < s.tapsH; b++) {
      const atH = h + b - s.paddingH;
      if (atH < 0 || atH >= s.sourceH) continue;
      const line = (atD * s.sourceH + atH) * s.sourceW;
      let row = z + <usize>((a * s.tapsH + b) * s.tapsW) * zRow;
      for (let e = 0; e < s.tapsW; e++) {
        const shift = e - s.paddingW;
        const low = max(0, -shift);
        const high = min(width, s.sourceW - shift);
        if (high > low) {
          addLine(y + ((<usize>low) << 2), row + ((<usize>(line + shift + low)) << 2), high - low);
        }
        row += zRow;
      }
    }
  }
  if (s.relu) for (let to = y; to < end; to += 4) store<f32>(to, load<f32>(to) < 0 ? 0 : load<f32>(to));
}

/**
 * The samples from `first` to `last`, and of each the output's depths from `near` to `far`: a thread
 * can take a part.
 */
export function shiftedProduct(
  plan: Product,
  s: Shift,
  first: i32,
  last: i32,
  near: i32,
  far: i32,
): void {
  const p = own(plan);
  const partial = ownScratch() + s.partial;
  const slice = s.sourceH * s.sourceW;
  const volume = s.sourceD * slice;
  const outputLine = (<usize>s.outputW) << 2;
  const taps = s.tapsD * s.tapsH * s.tapsW;
  for (let n = first; n < last; n += s.chunkSamples) {
    const samples = min(s.chunkSamples, last - n);
    for (let d = near; d < far; d += s.chunkDepth) {
      const depth = min(s.chunkDepth, far - d);
      const low = min(s.sourceD, max(0, d - s.paddingD));
      const high = max(low, min(s.sourceD, d + depth - 1 + s.tapsD - s.paddingD));
      const begin = n * volume + low * slice;
      const end = (n + samples - 1) * volume + high * slice;
      p.c = partial - ((<usize>begin) << 2);
      p.cRow = end - begin;
      if (end > begin) productOver(p, begin, end, 0, p.depth);
      const zRow = (<usize>p.cRow) << 2;
      for (let i = n; i < n + samples; i++) {
        for (let m = 0; m < s.rows; m++) {
          const bias = s.bias ? load<f32>(s.bias + ((<usize>m) << 2)) : <f32>0;
          const z = p.c + ((<usize>(i * volume)) << 2) + <usize>(m * taps) * zRow;
          let y =
            s.y + <usize>(((i * s.rows + m) * s.outputD + d) * s.outputH) * outputLine;
          for (let a = d; a < d + depth; a++) {
            for (let h = 0; h < s.outputH; h++) {
              sumLine(s, a, h, z, zRow, y, bias);
              y += outputLine;
            }
          }
        }
      }
    }
  }
}
