/** What a training step holds at once, against the number of iterations. */
import { countParameters, zeroGrad } from '@invnet/layers';
import { memory, RandomStream, resetPeakMemory } from '@invnet/tensor';
import type { Modality, Scan } from './modality.ts';
import { buildLoop, type LoopConfig } from './model.ts';
import { reconstructionLoss } from './reconstruction.ts';

/** A measurement, in bytes. */
export interface StepMemory {
  readonly iterations: number;
  /** Most that was live at once in a training step. */
  readonly peakBytes: number;
  /** Of that, parameters and their gradients, which are as many as there are iterations. */
  readonly parameterBytes: number;
}

/** Bytes of a number. */
const float = 4;

/** Measures loops of different lengths on one scan; the loops and all that they made are freed. */
export function measureMemory(config: LoopConfig, modality: Modality, scan: Scan): StepMemory[] {
  const random = new RandomStream(0);
  return [1, 2, 4].map((times) => {
    const iterations = times * config.iterations;
    const before = memory().liveBytes;
    const loop = buildLoop({ ...config, iterations }, { ...modality, random });
    resetPeakMemory();
    reconstructionLoss({ loop, modality, memory: config.memory }, scan, 0).dispose();
    const { peakBytes } = memory();
    const parameterBytes = 2 * float * countParameters(loop);
    zeroGrad(loop.parameters);
    loop.dispose();
    return { iterations, peakBytes: peakBytes - before, parameterBytes };
  });
}
