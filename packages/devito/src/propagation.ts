/** Waves by Devito, as `AcousticWave` puts them together. Left out: the second derivative, `hvp`. */
import type { Medium, WavePropagation, WaveSetup } from '@invnet/operators';
import { type Shape, type Tensor, tensor } from '@invnet/tensor';
import { type Connection, DevitoError } from './connection.ts';
import type { Frame } from './frames.ts';

/** The sources' field, which stays in Devito's process. */
class KeptField implements Disposable {
  readonly number: number;
  readonly #connection: Connection;
  #kept = true;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.number = connection.nextNumber();
  }

  [Symbol.dispose](): void {
    if (this.#kept) this.#connection.forget(this.number);
    this.#kept = false;
  }
}

/** What an `AcousticWave` with a `Devito` as its engine runs on. */
export class DevitoPropagation implements WavePropagation<KeptField> {
  readonly #connection: Connection;
  readonly #setup: WaveSetup;
  readonly #wave: number;

  constructor(connection: Connection, setup: WaveSetup) {
    const { grid, sources, receivers, wavelet } = setup;
    const { shape, spacing, border, timeStep, steps, every } = grid;
    this.#connection = connection;
    this.#setup = setup;
    this.#wave = connection.nextNumber();
    const options = { shape, spacing, border, timeStep, steps, every, sources, receivers };
    connection.ask({ op: 'wave', wave: this.#wave, options }, [Float32Array.from(wavelet)]);
  }

  model(medium: Medium, weights: Tensor, samples: number): Tensor {
    const [sizes, arrays] = this.#survey(medium, weights);
    return this.#data(samples, this.#ask('model', { samples, ...sizes }, arrays), medium.m);
  }

  field(medium: Medium, weights: Tensor, samples: number): KeptField {
    const field = new KeptField(this.#connection);
    const [sizes, arrays] = this.#survey(medium, weights);
    this.#ask('field', { samples, ...sizes, field: field.number }, arrays);
    return field;
  }

  scatter(medium: Medium, { number: field }: KeptField, dm: Tensor): Tensor {
    const answer = this.#ask('scatter', { field }, [...this.#planes(medium), numbers(dm)]);
    return this.#data(dm.shape[0]!, answer, dm);
  }

  migrate(medium: Medium, { number: field }: KeptField, r: Tensor): Tensor {
    const [samples = 0, shots] = r.shape;
    const arrays = [...this.#planes(medium), numbers(r)];
    const answer = this.#ask('migrate', { field, samples, shots }, arrays);
    return joined(answer, [samples, 1, ...this.#setup.grid.size], r);
  }

  /** @throws DevitoError */
  bend(): Tensor {
    throw new DevitoError(
      'AcousticWave: hvp is not among what Devito does here; expected forward, jvp, vjp, or `born`. Leave the ' +
        'engine out for it.',
    );
  }

  [Symbol.dispose](): void {
    this.#connection.forget(this.#wave);
  }

  #ask(
    op: string,
    fields: Readonly<Record<string, unknown>>,
    arrays: readonly Float32Array[],
  ): Frame {
    return this.#connection.ask({ op, wave: this.#wave, ...fields }, arrays);
  }

  #survey(medium: Medium, weights: Tensor): [{ weights: Shape }, Float32Array[]] {
    return [{ weights: weights.shape.slice(1) }, [...this.#planes(medium), numbers(weights)]];
  }

  /** m and η of all cells of the grid, border and all, which the scheme's coefficients are made of. */
  #planes({ gain, decay }: Medium): [Float32Array, Float32Array] {
    const { timeStep: dt } = this.#setup.grid;
    const [gains, decays] = [gain.dataSync(), decay.dataSync()];
    return [
      Float32Array.from(gains, (g, i) => (dt ** 2 * (1 + decays[i]!)) / (2 * g)),
      Float32Array.from(gains, (g, i) => (dt * (1 - decays[i]!)) / g),
    ];
  }

  #data(samples: number, answer: Frame, place: Tensor): Tensor {
    const { grid, shots, receivers } = this.#setup;
    return joined(answer, [samples, shots, grid.times, receivers.length], place);
  }
}

function numbers(x: Tensor): Float32Array {
  return Float32Array.from(x.dataSync());
}

/** The arrays of an answer, one after the other, as a tensor. */
function joined({ arrays }: Frame, shape: Shape, place: Tensor): Tensor {
  const values = new Float32Array(arrays.reduce((sum, a) => sum + a.length, 0));
  let at = 0;
  for (const array of arrays) {
    values.set(array, at);
    at += array.length;
  }
  return tensor(values, shape, place);
}
