/** The weights of the best epoch, on the host, so that they take no memory where training does. */
import type { Module } from '@invnet/layers';
import { placesOf, stateOf } from '../module-state.ts';
import type { HostTensor } from '../safetensors.ts';
import { StagedArrays } from '../staged-arrays.ts';

/** All numbers of a network at one moment, to go back to. */
export class BestWeights {
  readonly #network: Module;
  /** What was kept last, by path. */
  arrays: ReadonlyMap<string, HostTensor> | undefined;

  constructor(network: Module) {
    this.#network = network;
  }

  async keep(): Promise<void> {
    this.arrays = await stateOf(this.#network);
  }

  /** Puts what was kept last into the network; without that, leaves it alone. */
  restore(): void {
    if (!this.arrays) return;
    using staged = new StagedArrays(placesOf(this.#network), this.arrays, 'fit');
    staged.commit();
  }
}
