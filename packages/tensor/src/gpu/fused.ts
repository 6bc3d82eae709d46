/** The gpu backend's passes over invertible layers, where its device takes kernels in WGSL. */
import type { FusedPasses, Storage } from '../backend.ts';
import {
  channelAffineBackSource,
  channelAffineSource,
  coupleBackSource,
  coupleSource,
  pieces,
  reflectionsBackSource,
  reflectionsSource,
} from './kernels/invertible.ts';
import type { WgslSource } from './kernels/shader.ts';
import { splineBackSource, splineSource } from './kernels/spline.ts';
import { rowSums } from './kernels/sums.ts';
import { addToFirstSource } from './kernels/updates.ts';

type Make = (size: number) => Storage;

/** What the passes need of the backend. */
export interface Passes {
  /** Runs a kernel on arrays that it reads and others that it writes, which it may read as well. */
  launch(source: WgslSource, reads: readonly Storage[], writes: readonly Storage[]): void;
  /** What `make` gave while `f` ran is freed where that throws. */
  making<T>(op: string, f: (make: Make) => T): T;
  /** target ← target + x, which may be one. */
  accumulate(target: Storage, x: Storage): void;
  free(x: Storage): void;
}

export function fusedPasses(r: Passes): FusedPasses {
  /** The sums of the rows of [rows, columns], which is freed. */
  const sumRows = (make: Make, x: Storage, rows: number, columns: number): Storage => {
    if (columns === 1) return x;
    const sums = make(rows);
    r.launch(rowSums(rows, columns), [x], [sums]);
    r.free(x);
    return sums;
  };
  return {
    couple: (x, rt, g) =>
      r.making('couple', (make) => {
        const parts = pieces(g.size);
        const [y, sums] = [make(x.size), make(g.batch * parts)];
        r.launch(coupleSource(g), [x, rt], [y, sums]);
        return [y, sumRows(make, sums, g.batch, parts)];
      }),
    coupleBack: (y, dy, rt, dlogdet, g) =>
      r.making('couple', (make) => {
        const [x, dx, drt] = [make(y.size), make(y.size), make(rt.size)];
        const weights = dlogdet ? [dlogdet] : [];
        r.launch(coupleBackSource(g, dlogdet !== undefined), [y, dy, rt, ...weights], [x, dx, drt]);
        return [x, dx, drt];
      }),
    addToFirst: (target, x, batch) => {
      // What a kernel writes it may not read by another name.
      if (target === x) return r.accumulate(target, x);
      return r.launch(addToFirstSource(batch, target.size / batch, x.size / batch), [x], [target]);
    },
    channelAffine: (x, scale, shift, g) =>
      r.making('channelAffine', (make) => {
        const [y, logdet] = [make(x.size), make(g.batch)];
        r.launch(channelAffineSource(g), [x, scale, shift], [y, logdet]);
        return [y, logdet];
      }),
    channelAffineBack: (y, dy, scale, shift, dlogdet, g) =>
      r.making('channelAffine', (make) => {
        const parts = pieces(g.batch * g.positions);
        const [x, dx] = [make(y.size), make(y.size)];
        const [ds, db] = [make(g.channels * parts), make(g.channels * parts)];
        const weights = dlogdet ? [dlogdet] : [];
        r.launch(
          channelAffineBackSource(g, dlogdet !== undefined),
          [y, dy, scale, shift, ...weights],
          [x, dx, ds, db],
        );
        return [x, dx, sumRows(make, ds, g.channels, parts), sumRows(make, db, g.channels, parts)];
      }),
    reflections: (v) =>
      r.making('reflections', (make) => {
        const w = make(v[0].size ** 2);
        r.launch(reflectionsSource(v[0].size), v, [w]);
        return w;
      }),
    reflectionsBack: (v, g) =>
      r.making('reflections', (make) => {
        const { size } = v[0];
        const made = [make(size), make(size), make(size)] as const;
        const scratch = make(6 * size);
        r.launch(reflectionsBackSource(size), [...v, g], [...made, scratch]);
        r.free(scratch);
        return made;
      }),
    spline: (given, p, inverse, g) =>
      r.making('spline', (make) => {
        const [found, log] = [make(given.size), make(given.size)];
        const call = { fromY: inverse, inverse, numbers: given.size };
        r.launch(splineSource(g, call), [given, p], [found, log]);
        return [found, log];
      }),
    splineBack: ([given, p, dgiven, dlog], inverse, g) =>
      r.making('spline', (make) => {
        const [found, dfound, dp] = [make(given.size), make(given.size), make(p.size)];
        const call = { fromY: !inverse, inverse, numbers: given.size };
        const weights = dlog ? [dlog] : [];
        r.launch(
          splineBackSource(g, call, dlog !== undefined),
          [given, p, dgiven, ...weights],
          [found, dfound, dp],
        );
        return [found, dfound, dp];
      }),
  };
}
