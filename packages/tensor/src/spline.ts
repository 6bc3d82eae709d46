/** What a backend is told of a rational-quadratic spline. */

/** Splines of rows of numbers. */
export interface SplineGeometry {
  /** Numbers of a row: their parameters are that far apart. */
  readonly size: number;
  readonly bins: number;
  /** Parameters of each number. */
  readonly parameters: number;
  readonly low: number;
  readonly high: number;
  /** The least width and height of a bin, as shares of the interval. */
  readonly minWidth: number;
  readonly minHeight: number;
  readonly minSlope: number;
  readonly softClamp: number | undefined;
  readonly tails: 'identity' | 'circular' | 'linear';
}
