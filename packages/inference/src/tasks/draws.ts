/** Densities and draws that several tasks have. */
import type { RandomStream } from '@invnet/tensor';

/** log of the normal density. */
export function logNormal(x: number, mean: number, deviation: number): number {
  return -0.5 * ((x - mean) / deviation) ** 2 - Math.log(deviation) - 0.5 * Math.log(2 * Math.PI);
}

/** log n! for n from 0 on. */
export function logFactorials(most: number): Float64Array {
  const table = new Float64Array(most + 1);
  for (let n = 1; n <= most; n++) table[n] = table[n - 1]! + Math.log(n);
  return table;
}

/**
 * A binomial number for each probability, by inversion: values are taken from the most probable one outwards until their
 * probabilities reach a uniform number, some √(n p(1 − p)) of them.
 */
export class Binomial {
  readonly trials: number;
  readonly #logFactorials: Float64Array;

  constructor(trials: number) {
    this.trials = trials;
    this.#logFactorials = logFactorials(trials);
  }

  /** log of the probability of k, −∞ where it has none. */
  logProb(k: number, p: number): number {
    const { trials } = this;
    if (!Number.isInteger(k) || k < 0 || k > trials) return Number.NEGATIVE_INFINITY;
    const table = this.#logFactorials;
    const choices = table[trials]! - table[k]! - table[trials - k]!;
    // 0 · log 0 = 0
    const of = (count: number, log: number) => (count === 0 ? 0 : count * log);
    return choices + of(k, Math.log(p)) + of(trials - k, Math.log1p(-p));
  }

  draw(p: number, random: RandomStream): number {
    const { trials } = this;
    if (p <= 0) return 0;
    if (p >= 1) return trials;
    const [high, low] = random.uniformArray(2);
    // One uniform number has 24 bits, too few for rare values.
    let left = high! + low! / 2 ** 24;
    const mode = Math.min(trials, Math.floor((trials + 1) * p));
    const odds = p / (1 - p);
    const first = Math.exp(this.logProb(mode, p));
    left -= first;
    let [below, above] = [mode, mode];
    let [pBelow, pAbove] = [first, first];
    while (left > 0 && (below > 0 || above < trials)) {
      if (above < trials) {
        pAbove *= (odds * (trials - above)) / (above + 1);
        above++;
        left -= pAbove;
        if (left <= 0) return above;
      }
      if (below > 0) {
        pBelow *= below / (odds * (trials - below + 1));
        below--;
        left -= pBelow;
        if (left <= 0) return below;
      }
    }
    return mode;
  }
}
