/**
 * A flow with a standardization in front, of x and of its context. While it is trained, rows are standardized where they
 * become tensors, which costs nothing; afterwards the layer does it, so that the flow takes data as they are.
 */
import type { HostArray } from '@invnet/datasets';
import { Flow } from '@invnet/flows';
import { asConditioner, type Bijection, Sequential, Standardization } from '@invnet/layers';
import { SummarizedNetwork } from '@invnet/networks';
import { type Shape, ShapeError } from '@invnet/tensor';
import type { ArraySurvey } from './survey.ts';

/** A flow as it is trained, and as it is given back. */
export interface StandardizedFlow {
  /** What is trained, on standardized rows. */
  readonly inner: Flow;
  /** The same with the standardization in front; without one, `inner` itself. */
  readonly flow: Flow;
  readonly x?: Standardization;
  readonly context?: Standardization;
}

/**
 * Puts a standardization in front of a flow, which it shares; one that a former fit put there stays. Its numbers are set
 * later.
 */
export function standardizeFlow(
  inner: Flow,
  { x, context }: { readonly x: Shape; readonly context?: Shape | undefined },
): StandardizedFlow {
  if (isStandardized(inner.network)) return { inner, flow: inner };
  const forX = new Standardization({ channels: channelsOf('x', x) });
  const layers = new Sequential([forX, inner.network]);
  // What the base sees of a context is not the network's to change.
  if (!context || !inner.network.usesContext || inner.base.usesContext) {
    return { inner, flow: new Flow({ network: layers, base: inner.base }), x: forX };
  }
  const forContext = new Standardization({ channels: channelsOf('context', context) });
  const network = new SummarizedNetwork({ network: layers, summary: asConditioner(forContext) });
  return { inner, flow: new Flow({ network, base: inner.base }), x: forX, context: forContext };
}

/** Sets the numbers of a standardization to those of the rows; what is constant, as contexts may be, is centered. */
export function setMoments(
  layer: Standardization,
  { mean, deviation, constant }: ArraySurvey,
): void {
  layer.set({ mean, deviation: deviation.map((d, c) => (constant.includes(c) ? 1 : d)) });
}

/** Numbers of rows as a standardization gives them, computed on the host. */
export class HostStandardization {
  readonly #mean: ArrayLike<number>;
  readonly #deviation: ArrayLike<number>;

  /** Of the layer's own numbers, which its backend may have rounded. */
  static async of(layer: Standardization): Promise<HostStandardization> {
    const [mean, deviation] = await Promise.all([layer.mean.read(), layer.deviation.read()]);
    return new HostStandardization(mean, deviation);
  }

  private constructor(mean: ArrayLike<number>, deviation: ArrayLike<number>) {
    this.#mean = mean;
    this.#deviation = deviation;
  }

  apply({ shape, data }: HostArray): HostArray {
    const channels = this.#mean.length;
    const positions = data.length / (shape[0]! * channels);
    const result = new Float64Array(data.length);
    for (let i = 0, c = 0; i < data.length; c = c + 1 === channels ? 0 : c + 1) {
      const [mean, deviation] = [this.#mean[c]!, this.#deviation[c]!];
      for (const end = i + positions; i < end; i++) result[i] = (data[i]! - mean) / deviation;
    }
    return { shape, data: result };
  }

  /** P·Σ log σ: what losses of standardized rows have to be raised by to be those of the rows as they are. */
  logDeviations(size: number): number {
    let sum = 0;
    for (let c = 0; c < this.#deviation.length; c++) sum += Math.log(this.#deviation[c]!);
    return (size / this.#deviation.length) * sum;
  }
}

function isStandardized(network: Bijection): boolean {
  const layers = network instanceof SummarizedNetwork ? network.network : network;
  return layers instanceof Sequential && layers.at(0) instanceof Standardization;
}

function channelsOf(name: string, row: Shape): number {
  if (row.length > 0) return row[0]!;
  throw new ShapeError(
    `fit: rows of ${name} are single numbers, [N]; expected [N, D] or [N, C, …].`,
  );
}
