/**
 * Devito (Luporini et al., "Architecture and performance of Devito, a system for automated stencil computation",
 * 2020) in a Python process of its own.
 *
 * Left out: what is computed there (propagation.ts, and python/engine.py).
 */
import { fileURLToPath } from 'node:url';
import type { WaveEngine, WavePropagation, WaveSetup } from '@invnet/operators';
import { formatValue, requireOptions, requireWhole, ValueError } from '@invnet/tensor';
import { Connection, DevitoError } from './connection.ts';
import { DevitoPropagation } from './propagation.ts';

/** What python/engine.py has to speak. */
const PROTOCOL = 1;

/** Options of `Devito`. */
export interface DevitoOptions {
  /** The Python that has Devito. Default: `python3`. */
  readonly python?: string;
  /** Threads of Devito's kernels, by OpenMP. Default: 1. */
  readonly threads?: number;
}

/** What runs. */
export interface DevitoVersions {
  readonly devito: string;
  readonly numpy: string;
  readonly python: string;
}

/**
 * A running Devito, as the engine of an `AcousticWave`. Calls wait for its answers. The process ends with `dispose`, and with this program, however it ends.
 *
 * Runs where Node.js does; not in pages.
 *
 * @example
 * using devito = new Devito();
 * using wave = new AcousticWave({ ...options, engine: devito });
 */
export class Devito implements WaveEngine, Disposable {
  readonly versions: DevitoVersions;
  readonly #connection: Connection;

  /** @throws DevitoError when there is no such Python, when it has no Devito, or one of another kind answers. */
  constructor(options: DevitoOptions = {}) {
    requireOptions('Devito', options, ['python', 'threads']);
    const { python = 'python3', threads = 1 } = options;
    if (typeof python !== 'string' || python === '') {
      throw new ValueError(
        `Devito: python is ${formatValue(python)}; expected the name of a program.`,
      );
    }
    requireWhole('Devito', 'threads', threads, 1, 256);
    this.#connection = new Connection({
      command: python,
      args: ['-u', fileURLToPath(new URL('../python/engine.py', import.meta.url))],
      environment: {
        ...{ DEVITO_LOGGING: 'ERROR', OMP_NUM_THREADS: String(threads) },
        ...(threads > 1 && { DEVITO_LANGUAGE: 'openmp' }),
      },
    });
    try {
      this.versions = this.#greet(python);
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  #greet(python: string): DevitoVersions {
    const { protocol, missing, ...versions } = this.#connection.ask({ op: 'hello' }).header;
    if (protocol !== PROTOCOL) {
      throw new DevitoError(
        `Devito: ${python} speaks protocol ${formatValue(protocol)}; expected ${PROTOCOL}, that of this version of ` +
          '@invnet/devito.',
      );
    }
    if (missing !== undefined) {
      throw new DevitoError(
        `Devito: ${python} has no Devito (${missing}). Install it with \`${python} -m pip install devito\`, or ` +
          'name another Python: new Devito({ python }).',
      );
    }
    const { devito, numpy, python: version } = versions;
    return { devito: String(devito), numpy: String(numpy), python: String(version) };
  }

  /** What an `AcousticWave` asks its engine for. */
  propagation(setup: WaveSetup): WavePropagation {
    return new DevitoPropagation(this.#connection, setup);
  }

  /** Ends the process. Waves of it are of no use any more. */
  dispose(): void {
    this.#connection.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
