/** The one loop nest behind the convolution and both of its adjoints. */
import type { ConvGeometry } from '../backend.ts';

/**
 * Visits every product x[xi]·w[wi] that a convolution adds into y[yi]; the adjoints visit the same
 * triples and add into another of the three.
 */
export function forEachConvTap(
  g: ConvGeometry,
  visit: (xi: number, wi: number, yi: number) => void,
): void {
  const [inD, inH, inW] = g.input;
  const [outD, outH, outW] = g.output;
  const [kD, kH, kW] = g.kernel;
  for (let n = 0; n < g.batch; n++) {
    for (let o = 0; o < g.outputChannels; o++) {
      for (let c = 0; c < g.inputChannels; c++) {
        for (let d = 0; d < outD; d++) {
          for (let h = 0; h < outH; h++) {
            for (let w = 0; w < outW; w++) {
              const yi = (((n * g.outputChannels + o) * outD + d) * outH + h) * outW + w;
              for (let a = 0; a < kD; a++) {
                const id = d * g.stride[0] + a - g.padding[0];
                if (id < 0 || id >= inD) continue;
                for (let b = 0; b < kH; b++) {
                  const ih = h * g.stride[1] + b - g.padding[1];
                  if (ih < 0 || ih >= inH) continue;
                  for (let e = 0; e < kW; e++) {
                    const iw = w * g.stride[2] + e - g.padding[2];
                    if (iw < 0 || iw >= inW) continue;
                    const xi = (((n * g.inputChannels + c) * inD + id) * inH + ih) * inW + iw;
                    const wi = (((o * g.inputChannels + c) * kD + a) * kH + b) * kW + e;
                    visit(xi, wi, yi);
                  }
                }
              }
            }
          }
        }
      }
    }
  }
}
