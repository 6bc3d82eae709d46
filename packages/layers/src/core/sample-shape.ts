/** Layers with parameters for every number of a sample. */
import { formatShape, requireList, type Shape, ShapeError, sizeOf } from '@invnet/tensor';
import { requireSpatialSizes, requireWhole } from './checks.ts';

/** Of which samples a layer is. */
export interface SampleOptions {
  readonly channels: number;
  /** Spatial sizes of the data; none for vectors. Default: []. */
  readonly size?: Shape;
}

/** The shape of a sample. @throws ValueError for channels or sizes that are not whole and positive. */
export function sampleShape(op: string, { channels, size = [] }: SampleOptions): Shape {
  requireWhole(op, 'channels', channels, 1);
  requireSpatialSizes(op, 'size', size);
  requireWhole(op, 'channels × size', sizeOf([channels, ...size]), 1);
  return [channels, ...size];
}

/** The shape itself. @throws ShapeError unless it is of samples of this shape. */
export function requireSamples(op: string, x: Shape, sample: Shape): Shape {
  requireList(op, 'the shape', x);
  if (x.length === sample.length + 1 && sample.every((s, i) => s === x[i + 1])) return x;
  throw new ShapeError(`${op}: got ${formatShape(x)}; expected [N, ${sample.join(', ')}].`);
}
