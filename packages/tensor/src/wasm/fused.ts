/**
 * The wasm backend's passes over invertible layers (assembly/coupling.ts, channels.ts and
 * reflections.ts). Sums are taken in pieces that depend on sizes alone, and added up in order.
 */
import type { CouplingGeometry, FusedPasses } from '../backend.ts';
import { CHEAP_ELEMENTS, COSTLY_ELEMENTS, ranges, rowRanges } from './parts.ts';
import type { Runtime } from './runtime.ts';

/** Numbers of a sample that a coupling takes at a time: enough to be worth a thread's while. */
const PIECE = 4096;
/** Numbers of a coupling, which takes an exponential and a logarithm for each, that are worth parting. */
const WORTH_PARTING = 1024;
/** Bytes of a double, which sums and the rows of reflections are made of. */
const DOUBLE = 8;

export function fusedPasses(r: Runtime): FusedPasses {
  /** Pieces of all samples, and their parts for threads. */
  const cut = ({ batch, size }: CouplingGeometry) => {
    const pieces = Math.ceil(size / PIECE);
    const parts = ranges(batch * pieces, r.threads(batch * size, WORTH_PARTING));
    return { pieces, parts };
  };
  return {
    couple: (x, rt, g) =>
      r.making((make) => {
        const given = [r.at(x), r.at(rt)];
        const [y, logdet] = [make(x.size), make(g.batch)];
        const { pieces, parts } = cut(g);
        r.inScratch(DOUBLE * g.batch * pieces, (sums) => {
          r.start(
            'couple',
            parts.map((part) => [
              ...[g.inverse ? 1 : 0, ...given, r.at(y), sums],
              ...[g.kept, g.size, PIECE, g.low, g.high - g.low, ...part],
            ]),
          );
          r.start('addRows', [[sums, r.at(logdet), g.batch, pieces, 1, g.inverse ? -1 : 1]]);
        });
        return [y, logdet];
      }),
    coupleBack: (y, dy, rt, dlogdet, g) =>
      r.making((make) => {
        const given = [y, dy, rt].map((x) => r.at(x));
        const weights = dlogdet ? r.at(dlogdet) : 0;
        const [x, dx, drt] = [make(y.size), make(y.size), make(rt.size)];
        const made = [x, dx, drt].map((made) => r.at(made));
        r.start(
          'coupleBack',
          cut(g).parts.map((part) => [
            ...[g.inverse ? 1 : 0, ...given, weights, ...made],
            ...[g.kept, g.size, PIECE, g.low, g.high - g.low, ...part],
          ]),
        );
        return [x, dx, drt];
      }),
    addToFirst: (target, x, batch) => {
      const [to, from] = [r.at(target), r.at(x)];
      const [pitch, size] = [target.size / batch, x.size / batch];
      const threads = r.threads(x.size, CHEAP_ELEMENTS);
      const parts =
        batch > 1
          ? ranges(batch, threads).map((part) => [to, pitch, from, size, ...part])
          : rowRanges(size, 1, threads).map(([first, last]) => [
              ...[to + 4 * first, 0, from + 4 * first, last - first, 0, 1],
            ]);
      r.start('accumulateRows', parts);
    },
    channelAffine: (x, scale, shift, g) =>
      r.making((make) => {
        const given = [x, scale, shift].map((x) => r.at(x));
        const { batch, channels, positions } = g;
        const inverse = g.inverse ? 1 : 0;
        const [y, logdet] = [make(x.size), make(batch)];
        const threads = r.threads(x.size, CHEAP_ELEMENTS);
        r.start(
          'channelAffine',
          rowRanges(batch * channels, positions, threads).map((part) => [
            ...[inverse, ...given, r.at(y), channels, positions, ...part],
          ]),
        );
        r.start('channelLogdet', [
          [r.at(scale), r.at(logdet), batch, channels, inverse ? -positions : positions],
        ]);
        return [y, logdet];
      }),
    channelAffineBack: (y, dy, scale, shift, dlogdet, g) =>
      r.making((make) => {
        const given = [y, dy, scale, shift].map((x) => r.at(x));
        const { batch, channels, positions } = g;
        const inverse = g.inverse ? 1 : 0;
        const weights = dlogdet ? r.at(dlogdet) : 0;
        const [x, dx] = [make(y.size), make(y.size)];
        const [dscale, dshift] = [make(channels), make(channels)];
        const threads = r.threads(y.size, COSTLY_ELEMENTS);
        r.inScratch(2 * DOUBLE * batch * channels, (sums) => {
          r.start(
            'channelAffineBack',
            rowRanges(batch * channels, positions, threads).map((part) => [
              ...[inverse, ...given, r.at(x), r.at(dx), sums, channels, positions, ...part],
            ]),
          );
          r.start('channelGradients', [
            [
              ...[sums, r.at(scale), weights, r.at(dscale), r.at(dshift)],
              ...[batch, channels, inverse ? -positions : positions],
            ],
          ]);
        });
        return [x, dx, dscale, dshift];
      }),
    reflections: (v) =>
      r.making((make) => {
        const [v1, v2, v3] = [r.at(v[0]), r.at(v[1]), r.at(v[2])];
        const { size } = v[0];
        const w = make(size * size);
        r.inScratch(9 * DOUBLE * size, (rows) => {
          r.start('reflections', [[v1, v2, v3, r.at(w), size, rows]]);
        });
        return w;
      }),
    reflectionsBack: (v, g) =>
      r.making((make) => {
        const [v1, v2, v3] = [r.at(v[0]), r.at(v[1]), r.at(v[2])];
        const gradient = r.at(g);
        const { size } = v[0];
        const made = [make(size), make(size), make(size)] as const;
        const [d1, d2, d3] = [r.at(made[0]), r.at(made[1]), r.at(made[2])];
        r.inScratch(12 * DOUBLE * size, (rows) => {
          const more = rows + 9 * DOUBLE * size;
          r.start('reflectionsBack', [[v1, v2, v3, gradient, d1, d2, d3, size, rows, more]]);
        });
        return made;
      }),
  };
}
