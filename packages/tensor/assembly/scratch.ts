/**
 * Each thread's own scratch. A thread runs whatever part of a job it takes in the same stretch of
 * memory, which therefore stays in its cache from one job to the next.
 *
 * Each thread has an instance of the module, hence globals of its own; the place of its scratch is in
 * a word of linear memory, so that the TypeScript side can move it between jobs.
 */
let entry: usize = 0;

/** Says in which word this thread finds where its scratch is. */
export function useScratchAt(word: usize): void {
  entry = word;
}

// @ts-ignore: decorator
@inline
export function ownScratch(): usize {
  return load<usize>(entry);
}
