/** What the tab brings along: a trained model, and slices to scan. `scripts/ship-brain.ts` writes both. */
import { Flow, flowCatalogue } from '@invnet/flows';
import { InvNetError } from '@invnet/tensor';
import { modelFromBytes, modelInfo } from '@invnet/train';
import { decode } from 'fast-png';
import { size } from './protocol.ts';

/** A flow over images of 64 × 64 as mri-posterior trains it, and how its training scans were simulated. */
export interface Shipped {
  readonly flow: Flow;
  /** Magnitudes of the slices, each row by row, at most 1. */
  readonly slices: readonly Float32Array[];
  /** Deviation of the data's noise. */
  readonly noise: number;
  /** Deviation of noise in the images themselves. */
  readonly imageNoise: number;
  /** What observed parts are stretched by in the flow's coordinates. */
  readonly kappa: number;
}

/** Fetches both files. @throws InvNetError for files that are none. */
export async function loadShipped(): Promise<Shipped> {
  const [model, picture] = await Promise.all([
    fetched(new URL('./model.safetensors', import.meta.url)),
    fetched(new URL('./slices.png', import.meta.url)),
  ]);
  const { metadata } = modelInfo(model, 'the shipped model');
  const flow = modelFromBytes(model, { modules: flowCatalogue, as: Flow }, 'the shipped model');
  const { data, height } = decode(picture);
  const area = size * size;
  const slices = Array.from({ length: height / size }, (_, i) =>
    Float32Array.from(data.subarray(i * area, (i + 1) * area), (v) => v / 255),
  );
  const { noise, imageNoise, kappa } = metadata;
  return {
    flow,
    slices,
    noise: Number(noise),
    imageNoise: Number(imageNoise),
    kappa: Number(kappa),
  };
}

async function fetched(url: URL): Promise<Uint8Array> {
  const response = await fetch(url);
  if (response.ok) return new Uint8Array(await response.arrayBuffer());
  throw new InvNetError(`${url.pathname} cannot be loaded: ${response.status}.`);
}
