/** A flow in training: the model, its data, and where it stands. Runs in the worker. */
import type { Samplable } from '@invnet/datasets';
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import type { Sequential } from '@invnet/networks';
import {
  backendInfo,
  memory,
  RandomStream,
  resetPeakMemory,
  setBackend,
  type Tensor,
  tensor,
} from '@invnet/tensor';
import { Adam, checkpointBytes, constant, restoreCheckpoint, train } from '@invnet/train';
import { samplable } from './data.ts';
import { networks } from './networks.ts';
import {
  type Config,
  cells,
  extent,
  lines,
  type MemoryUse,
  reach,
  type Views,
} from './protocol.ts';

const batchSize = 256;
const learningRate = 5e-3;
const shown = 600;

export class Model {
  readonly config: Config;
  readonly points: Float32Array;
  readonly #network: Sequential;
  readonly #flow: Flow;
  readonly #optimizer = new Adam();
  readonly #data: Samplable;
  readonly #random: RandomStream;
  step = 0;

  private constructor(config: Config, points: Float32Array) {
    this.config = config;
    this.points = points;
    const { network, depth, width, seed } = config;
    const entry = networks[network];
    if (!entry) throw new RangeError(`There is no network '${network}' in this page.`);
    this.#network = entry.build({ depth, width, seed });
    this.#flow = new Flow({ network: this.#network });
    this.#data = samplable(config.density, points);
    this.#random = new RandomStream(seed, 2 ** 40);
  }

  /** A fresh model on a fresh backend. @throws BackendError */
  static async create(config: Config, points: Float32Array): Promise<Model> {
    if (config.backend === 'wasm') {
      await setBackend('wasm');
    } else {
      await import('@invnet/tensor/gpu');
      await setBackend('gpu', { mode: config.backend });
    }
    return new Model(config, points);
  }

  /** What computes, in words. */
  get adapter(): string {
    const { name, details } = backendInfo();
    return name === 'gpu' ? `${details.mode} on ${details.adapter}` : `wasm, ${details.simd}`;
  }

  /** Trains until the signal; yields the loss of each step. */
  async *train(signal: AbortSignal): AsyncGenerator<{ loss: number; memory: MemoryUse }> {
    resetPeakMemory();
    const steps = train({
      parameters: this.#flow.parameters,
      optimizer: this.#optimizer,
      schedule: constant(learningRate),
      clipNorm: 5,
      signal,
      startStep: this.step,
      batches: this.#batches(),
      loss: (batch: Tensor) => negativeLogLikelihood(this.#flow, batch),
      disposeBatch: (batch: Tensor) => batch.dispose(),
    });
    for await (const { step, loss, liveBytes, peakBytes } of steps) {
      this.step = step;
      yield { loss, memory: { live: liveBytes, peak: peakBytes, stored: this.#stored() } };
      resetPeakMemory();
    }
  }

  async views(): Promise<Views> {
    const before = memory().tensors;
    const random = new RandomStream(this.config.seed, 2 ** 41);
    using data = this.#data.sample(shown, random);
    using samples = this.#flow.sample({ shape: [shown, 2, 1], seed: random });
    using lattice = pointsOf(square(cells, extent));
    using logs = this.#flow.logProb(lattice);
    const views = {
      data: await host(data),
      samples: await host(samples),
      density: (await host(logs)).map(Math.exp),
      baseToData: await this.#through('inverse', square(lines, reach)),
      dataToBase: await this.#through('forward', square(lines, reach)),
    };
    data.dispose();
    samples.dispose();
    lattice.dispose();
    logs.dispose();
    if (memory().tensors !== before) throw new Error('views: tensors were left behind.');
    return views;
  }

  checkpoint(): Promise<Uint8Array<ArrayBuffer>> {
    const metadata = { playground: JSON.stringify(this.config), step: String(this.step) };
    const { parameters } = this.#flow;
    return checkpointBytes({ parameters, optimizer: this.#optimizer, metadata });
  }

  restore(bytes: Uint8Array): void {
    const { parameters } = this.#flow;
    const { step } = restoreCheckpoint(
      bytes,
      { parameters, optimizer: this.#optimizer },
      'this file',
    );
    this.step = Number(step ?? 0);
  }

  *#batches(): Generator<Tensor> {
    for (;;) {
      const points = this.#data.sample(batchSize, this.#random);
      const batch = points.reshape([batchSize, 2, 1]);
      points.dispose();
      yield batch;
    }
  }

  /** A lattice after each layer, the first before any. */
  async #through(direction: 'forward' | 'inverse', start: Float32Array): Promise<Float32Array[]> {
    const layers = [...this.#network.layers];
    if (direction === 'inverse') layers.reverse();
    const states = [start];
    let state = pointsOf(start);
    for (const layer of layers) {
      let next: Tensor;
      if (direction === 'forward') {
        const { y, logdet } = layer.forward(state);
        logdet.dispose();
        next = y;
      } else {
        const { x, logdet } = layer.inverse(state);
        logdet.dispose();
        next = x;
      }
      state.dispose();
      state = next;
      states.push(await host(state));
    }
    state.dispose();
    return states;
  }

  #stored(): number {
    const { network, depth, width } = this.config;
    return 4 * batchSize * depth * networks[network]!.storedPerStep(width);
  }
}

function pointsOf(points: Float32Array): Tensor {
  return tensor(points, [points.length / 2, 2, 1]);
}

async function host(t: Tensor): Promise<Float32Array> {
  return Float32Array.from(await t.data());
}

/** A square lattice of n × n points over [−half, half]², row by row from below. */
function square(n: number, half: number): Float32Array {
  const points = new Float32Array(2 * n * n);
  for (let i = 0; i < n * n; i++) {
    points[2 * i] = half * ((2 * (i % n)) / (n - 1) - 1);
    points[2 * i + 1] = half * ((2 * Math.floor(i / n)) / (n - 1) - 1);
  }
  return points;
}
