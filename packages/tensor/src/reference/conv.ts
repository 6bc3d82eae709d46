/** The one loop nest behind the convolution and both of its adjoints. */
import type { ConvGeometry } from '../backend.ts';

/** `count` products in a row: x[x + i·step]·w[w], added into y[y + i]. */
type Visit = (x: number, step: number, w: number, y: number, count: number) => void;

/**
 * Visits every product x·w that a convolution adds into y, a row of outputs at a time; the adjoints
 * visit the same triples and add into another of the three.
 */
export function forEachConvRow(g: ConvGeometry, visit: Visit): void {
  const [inD, inH, inW] = g.input;
  const [outD, outH, outW] = g.output;
  const [kD, kH, kW] = g.kernel;
  const step = g.stride[2];
  for (let n = 0; n < g.batch; n++) {
    for (let o = 0; o < g.outputChannels; o++) {
      for (let c = 0; c < g.inputChannels; c++) {
        for (let d = 0; d < outD; d++) {
          for (let h = 0; h < outH; h++) {
            const row = (((n * g.outputChannels + o) * outD + d) * outH + h) * outW;
            for (let a = 0; a < kD; a++) {
              const id = d * g.stride[0] + a - g.padding[0];
              if (id < 0 || id >= inD) continue;
              for (let b = 0; b < kH; b++) {
                const ih = h * g.stride[1] + b - g.padding[1];
                if (ih < 0 || ih >= inH) continue;
                for (let e = 0; e < kW; e++) {
                  // Where the tap meets the input: 0 ≤ w·step + shift < inW.
                  const shift = e - g.padding[2];
                  const first = Math.max(0, Math.ceil(-shift / step));
                  const end = Math.min(outW, Math.ceil((inW - shift) / step));
                  const x = (((n * g.inputChannels + c) * inD + id) * inH + ih) * inW + shift;
                  const w = (((o * g.inputChannels + c) * kD + a) * kH + b) * kW + e;
                  visit(x + first * step, step, w, row + first, end - first);
                }
              }
            }
          }
        }
      }
    }
  }
}
