/** What the page and the worker, where all computing happens, say to each other. */

/** Interfaces that a flow can be trained on. */
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
  /** A name of the registry in networks.ts. */
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
  | { readonly type: 'pause' | 'reset' | 'export' }
  | { readonly type: 'import'; readonly bytes: Uint8Array }
  | {
      readonly type: 'digits';
      readonly bytes: Uint8Array;
      readonly temperature: number;
      readonly seed: number;
    };

/** Memory of a training step, in bytes. */
export interface MemoryUse {
  readonly live: number;
  readonly peak: number;
  /** What a framework that stores activations would hold for the backward pass. */
  readonly stored: number;
}

/** What is drawn of a model. All points lie as x₁, y₁, x₂, y₂, …. */
export interface Views {
  readonly data: Float32Array;
  readonly samples: Float32Array;
  /** The model's density on a square lattice, row by row from below. */
  readonly density: Float32Array;
  /** A lattice of the base after 0, 1, … layers of the inverse, so that it ends among the data. */
  readonly baseToData: readonly Float32Array[];
  /** A lattice of the data after 0, 1, … layers. */
  readonly dataToBase: readonly Float32Array[];
}

export type Reply =
  | { readonly type: 'running'; readonly adapter: string }
  | {
      readonly type: 'progress';
      readonly step: number;
      /** Negative log-likelihoods of the steps since the last message, in nats. */
      readonly losses: readonly number[];
      readonly memory: MemoryUse;
    }
  | { readonly type: 'views'; readonly views: Views }
  | { readonly type: 'paused'; readonly step: number }
  | { readonly type: 'lost'; readonly step: number }
  | { readonly type: 'exported'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly type: 'imported'; readonly config: Config }
  | {
      readonly type: 'digits';
      readonly pixels: Float32Array;
      readonly side: number;
      readonly count: number;
    }
  | { readonly type: 'error'; readonly message: string };

/** The plane that is drawn: [−extent, extent]². */
export const extent = 4;
/** Points of the density's lattice along an axis. */
export const cells = 72;
/** Lines of the deformed lattice along an axis, and how far it reaches. */
export const lines = 17;
export const reach = 2.5;
