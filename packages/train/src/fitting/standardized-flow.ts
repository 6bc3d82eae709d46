/**
 * A flow with a standardization in front, of x and of its context. While it is trained, rows are standardized where they
 * become tensors, which costs nothing; afterwards the layer does it, so that the flow takes data as they are.
 */
import type { HostArray } from '@invnet/datasets';
import { Flow } from '@invnet/flows';
import { asConditioner, type Bijection, Sequential, Standardization } from '@invnet/layers';
import { SummarizedNetwork } from '@invnet/networks';
import type { ArraySurvey, Survey } from './survey.ts';

/** A flow as it is trained, and as it is given back. */
export interface StandardizedFlow {
  /** What is trained, on standardized rows. */
  readonly inner: Flow;
  /** The same with the standardization in front; without one, `inner` itself. */
  readonly flow: Flow;
  readonly x?: Standardization;
  readonly context?: Standardization;
}

/** Puts a standardization in front of a flow, which it shares; one that a former fit put there stays. */
export function standardizeFlow(inner: Flow, { x, context }: Survey): StandardizedFlow {
  if (isStandardized(inner.network)) return { inner, flow: inner };
  const forX = standardizationOf(x);
  const layers = new Sequential([forX, inner.network]);
  // What the base sees of a context is not the network's to change.
  if (!context || !inner.network.usesContext || inner.base.usesContext) {
    return { inner, flow: new Flow({ network: layers, base: inner.base }), x: forX };
  }
  const forContext = standardizationOf(context);
  const network = new SummarizedNetwork({ network: layers, summary: asConditioner(forContext) });
  return { inner, flow: new Flow({ network, base: inner.base }), x: forX, context: forContext };
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

  apply({ shape, data }: HostArray): Float64Array {
    const channels = this.#mean.length;
    const positions = data.length / (shape[0]! * channels);
    const result = new Float64Array(data.length);
    for (let i = 0, c = 0; i < data.length; c = c + 1 === channels ? 0 : c + 1) {
      const [mean, deviation] = [this.#mean[c]!, this.#deviation[c]!];
      for (const end = i + positions; i < end; i++) result[i] = (data[i]! - mean) / deviation;
    }
    return result;
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

function standardizationOf({ mean, deviation, constant }: ArraySurvey): Standardization {
  const layer = new Standardization({ channels: mean.length });
  try {
    // A context that is constant is centered.
    const above = deviation.map((d, c) => (constant.includes(c) ? 1 : d));
    layer.set({ mean, deviation: above });
    return layer;
  } catch (error) {
    layer.dispose();
    throw error;
  }
}
