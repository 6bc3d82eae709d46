/** Work that takes long: whoever iterates sees its progress, and whoever wants the result alone awaits that. */
import { InvNetError } from '@invnet/tensor';

/**
 * An async iterator of progress that has a result in the end. Nothing runs before the first step is asked for, and leaving
 * the loop early ends the work.
 *
 * @example
 * const run = simulate(simulator, prior, { count: 1000, seed: 1 });
 * for await (const { done, failed } of run) console.log(done, failed);
 * const simulations = await run.result(); // or this alone
 */
export class Run<Progress, Result> implements AsyncIterableIterator<Progress, undefined> {
  readonly #work: AsyncGenerator<Progress, Result, undefined>;
  #result: { readonly value: Result } | undefined;
  #ended = false;

  constructor(work: AsyncGenerator<Progress, Result, undefined>) {
    this.#work = work;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Progress, undefined>> {
    if (this.#ended) return { done: true, value: undefined };
    try {
      const step = await this.#work.next();
      if (!step.done) return step;
      this.#result = { value: step.value };
    } catch (error) {
      this.#ended = true;
      throw error;
    }
    this.#ended = true;
    return { done: true, value: undefined };
  }

  /** Ends the work; what loops do that are left early. */
  async return(): Promise<IteratorResult<Progress, undefined>> {
    if (!this.#ended) {
      this.#ended = true;
      // Its result is none: work that was left is not done.
      await this.#work.return(undefined as never);
    }
    return { done: true, value: undefined };
  }

  /**
   * Does what is left, and gives the result.
   *
   * @throws InvNetError where the work was ended before, or had failed.
   */
  async result(): Promise<Result> {
    while (!this.#ended) await this.next();
    if (this.#result) return this.#result.value;
    throw new InvNetError(
      'Run.result: the work was ended before it was done; expected a run that was not left early, and did not fail.',
    );
  }
}
