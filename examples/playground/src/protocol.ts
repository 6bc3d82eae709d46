/** What the page and the worker, where all computing happens, say to each other. */

/** Interfaces that a flow can be computed on. */
export type BackendName = 'wasm' | 'webgpu' | 'webgl2';

export type DensityName =
  | 'banana'
  | 'swirl'
  | 'twoMoons'
  | 'checkerboard'
  | 'eightGaussians'
  | 'drawn';

/** What is trained, on what, and where. */
export interface Config {
  readonly density: DensityName;
  /** A name of the registry in networks.ts; it, depth and width are for when no model was opened. */
  readonly network: string;
  /** Flow steps. */
  readonly depth: number;
  /** Width of the conditioners. */
  readonly width: number;
  readonly backend: BackendName;
  readonly seed: number;
}

export type Request =
  | {
      readonly type: 'start';
      readonly config: Config;
      readonly points: Float32Array;
      readonly steps?: number;
    }
  | { readonly type: 'pause' | 'reset' | 'save' }
  | {
      readonly type: 'open';
      readonly bytes: Uint8Array;
      /** The name of the file, for messages. */
      readonly file: string;
      readonly config: Config;
    }
  | {
      readonly type: 'sample';
      readonly shape: ImageShape;
      readonly temperature: number;
      readonly seed: number;
      readonly backend: BackendName;
    };

/** Channels, height and width. */
export type ImageShape = readonly [number, number, number];

/** What can be drawn of a model. */
export type Drawable =
  /** Points of the plane: densities, samples and lattices; it can be trained here. */
  | { readonly kind: 'plane' }
  /** Images, of these shapes, the likeliest first. */
  | { readonly kind: 'images'; readonly shapes: readonly ImageShape[] }
  /** Nothing, for a reason that says what would be needed. */
  | { readonly kind: 'nothing'; readonly reason: string };

/** What is said of a model. */
export interface Description {
  readonly type: string;
  readonly parameters: number;
  /** Steps of training behind it, as far as its file says. */
  readonly step: number;
  /** The shape of its input without the batch, where it is known. */
  readonly input: readonly number[] | undefined;
  /** A table of its parts. */
  readonly summary: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly drawable: Drawable;
}

/** Memory of a training step, in bytes. */
export interface MemoryUse {
  readonly live: number;
  readonly peak: number;
  /** What a framework that stores activations would hold for the backward pass, where it is known. */
  readonly stored: number | undefined;
}

/** What is drawn of a model of the plane. All points lie as x₁, y₁, x₂, y₂, …. */
export interface Views {
  /** The plane that is drawn: [−extent, extent]². */
  readonly extent: number;
  /** Empty before the model is trained on any. */
  readonly data: Float32Array;
  readonly samples: Float32Array;
  /** The model's density on a square lattice, row by row from below. */
  readonly density: Float32Array;
  /** A lattice of the base after 0, 1, … layers of the inverse, so that it ends among the data. */
  readonly baseToData: readonly Float32Array[];
  /** A lattice of the data after 0, 1, … layers. */
  readonly dataToBase: readonly Float32Array[];
}

/** Sampled images, one after another, each channel by channel. */
export interface Images {
  readonly pixels: Float32Array;
  readonly shape: ImageShape;
  readonly count: number;
}

export type Reply =
  /** The first message: the networks that can be chosen, each name with its label. */
  | { readonly type: 'ready'; readonly networks: Readonly<Record<string, string>> }
  /** The worker has another model, or has it elsewhere; `file` is what it was opened from just now. */
  | {
      readonly type: 'model';
      readonly description: Description;
      /** What computes. */
      readonly adapter: string;
      readonly file?: string;
    }
  /** There is no model any more. */
  | { readonly type: 'reset' }
  | { readonly type: 'running' }
  | {
      readonly type: 'progress';
      readonly step: number;
      /** Negative log-likelihoods of the steps since the last message, in nats. */
      readonly losses: readonly number[];
      readonly memory: MemoryUse;
    }
  | { readonly type: 'views'; readonly views: Views }
  | { readonly type: 'images'; readonly images: Images }
  | { readonly type: 'paused'; readonly step: number }
  | { readonly type: 'lost'; readonly step: number }
  | { readonly type: 'saved'; readonly bytes: Uint8Array<ArrayBuffer> }
  /** A request failed; the model is the one before, and is being trained or not. */
  | { readonly type: 'error'; readonly message: string; readonly running: boolean };

/** The plane where the page's own data lie. */
export const dataExtent = 4;
/** Points of the density's lattice along an axis. */
export const cells = 72;
/** Lines of the deformed lattice along an axis, and how far it reaches in the base. */
export const lines = 17;
export const reach = 2.5;
