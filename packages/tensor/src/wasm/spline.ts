/**
 * Rational-quadratic splines on the wasm backend (assembly/spline.ts): the plan that the kernels read, and parts of
 * all numbers, which depend on nothing but themselves.
 */
import type { Storage } from '../backend.ts';
import type { SplineGeometry } from '../spline.ts';
import { CACHE_LINE, ranges } from './parts.ts';
import type { Runtime, WasmStorage } from './runtime.ts';
import { baselineEdits, sharedFlagAt, text } from './spline.generated.ts';

/** Numbers that are worth another thread: each takes two exponentials for a bin. */
const WORTH_PARTING = 256;
/** Vectors beside two for each bin that a part has as scratch. */
const STATE_VECTORS = 13;

/** y and log slope of x, or x and that of the inverse of y. */
export function spline(
  r: Runtime,
  given: Storage,
  p: Storage,
  inverse: boolean,
  g: SplineGeometry,
): readonly [WasmStorage, WasmStorage] {
  return r.making((make) => {
    const [found, log] = [make(given.size), make(given.size)];
    const at = { given: r.at(given), found: r.at(found), p: r.at(p), log: r.at(log) };
    run(r, 'spline', { ...at, from: 0, to: 0, dp: 0 }, { fromY: inverse, inverse }, given.size, g);
    return [found, log];
  });
}

/** From the result of the map and the gradients of both results: its argument, and the gradients of that and of p. */
export function splineBack(
  r: Runtime,
  [given, p, dgiven, dlog]: readonly [Storage, Storage, Storage, Storage | undefined],
  inverse: boolean,
  g: SplineGeometry,
): readonly [WasmStorage, WasmStorage, WasmStorage] {
  return r.making((make) => {
    const [found, dfound, dp] = [make(given.size), make(given.size), make(p.size)];
    const at = {
      ...{ given: r.at(given), found: r.at(found), p: r.at(p), log: dlog ? r.at(dlog) : 0 },
      ...{ from: r.at(dgiven), to: r.at(dfound), dp: r.at(dp) },
    };
    run(r, 'splineBack', at, { fromY: !inverse, inverse }, given.size, g);
    return [found, dfound, dp];
  });
}

interface Addresses {
  readonly given: number;
  readonly found: number;
  readonly p: number;
  readonly log: number;
  readonly from: number;
  readonly to: number;
  readonly dp: number;
}

function run(
  r: Runtime,
  kernel: 'spline' | 'splineBack',
  { given, found, p, log, from, to, dp }: Addresses,
  { fromY, inverse }: { readonly fromY: boolean; readonly inverse: boolean },
  numbers: number,
  g: SplineGeometry,
): void {
  r.extend('spline', { text, baselineEdits, sharedFlagAt });
  const { bins, low, high, minWidth, minHeight, minSlope, softClamp, tails } = g;
  const range = high - low;
  const room = 1 - minSlope;
  const integers = [
    ...[given, found, p, log, from, to, dp],
    ...[g.size, bins, g.parameters, fromY ? 1 : 0, inverse ? 1 : 0],
    { identity: 0, circular: 1, linear: 2 }[tails],
  ];
  const floats = Float32Array.of(
    ...[low, high, range * minWidth, range * minHeight],
    ...[range * (1 - bins * minWidth), range * (1 - bins * minHeight)],
    ...[minSlope, room, Math.log(Math.expm1(room)), softClamp === undefined ? 0 : 1 / softClamp],
  );
  const words = [...integers, ...new Int32Array(floats.buffer)];
  const plan = r.desk(4 * words.length);
  r.write(words, plan);
  const parts = ranges(numbers, r.threads(numbers, WORTH_PARTING), CACHE_LINE);
  const own = r.kernels.vectorBytes() * (2 * bins + STATE_VECTORS);
  r.inScratch(own * parts.length, (scratch) => {
    r.start(
      kernel,
      parts.map(([first, last], i) => [plan, first, last, scratch + own * i]),
    );
  });
}
