/**
 * Arrays on their way into parameters and buffers, in two steps. The first asks for all memory and may
 * fail, when it has changed nothing; the second cannot fail.
 */
import { type ModuleBuffer, Parameter, TensorBuffer } from '@invnet/layers';
import { type Tensor, tidy } from '@invnet/tensor';
import { CheckpointError, fitProblems, uploadLike } from './array-checks.ts';
import type { HostTensor } from './safetensors.ts';

/** What arrays are loaded into, by the names that a file has for them; parameters before buffers. */
export type Places = readonly (readonly [name: string, place: Parameter | ModuleBuffer])[];

/** Arrays that are uploaded; disposing it frees them, or, after `commit`, those that they replaced. */
export class StagedArrays implements Disposable {
  readonly #steps: readonly Step[];

  /**
   * @param misfit - How the message begins when the arrays do not fit.
   * @throws CheckpointError that names missing, unexpected and mis-shaped arrays.
   * @throws CheckpointError for numbers that are not finite in the place's precision.
   * @throws OutOfMemoryError
   */
  constructor(places: Places, arrays: ReadonlyMap<string, HostTensor>, misfit: string) {
    const expected = places.map(([name, { shape }]) => ({ name, shape }));
    const problems = fitProblems(expected, arrays);
    if (problems.length > 0) throw new CheckpointError(`${misfit}: ${problems.join('; ')}.`);
    this.#steps = tidy(() => places.map(([name, place]) => stage(name, place, arrays.get(name)!)));
  }

  /** Puts the arrays into their places. */
  commit(): void {
    for (const { run } of this.#steps) run();
  }

  [Symbol.dispose](): void {
    for (const { values } of this.#steps) values?.dispose();
  }
}

/** What puts one array into its place. */
interface Step {
  readonly values?: Tensor;
  readonly run: () => void;
}

function stage(name: string, place: Parameter | ModuleBuffer, array: HostTensor): Step {
  if (!(place instanceof Parameter || place instanceof TensorBuffer)) {
    const { data } = array;
    return { run: () => place.write(data) };
  }
  const values = uploadLike(name, place.data, array);
  return {
    values,
    run: () => {
      place.data.swap(values);
      if (place instanceof Parameter) place.changed();
    },
  };
}
