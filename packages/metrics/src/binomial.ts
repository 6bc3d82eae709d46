/**
 * Binomial distributions, and the chain of counts that uniform ranks make along their distribution function.
 * Mathematics: docs/math/metrics/calibration.md
 */

/** log n! of 0 … count. */
export function logFactorialsTo(count: number): Float64Array {
  const logs = new Float64Array(count + 1);
  for (let n = 1; n <= count; n++) logs[n] = logs[n - 1]! + Math.log(n);
  return logs;
}

/** Probabilities of the counts first, first + 1, …; those left out are below 1e-17 of the largest. */
export interface Binomial {
  readonly first: number;
  readonly masses: readonly number[];
}

/** n trials with probability p, from the likeliest count outward. */
export function binomial(n: number, p: number, logFactorials: Float64Array): Binomial {
  const mode = Math.min(Math.floor((n + 1) * p), n);
  const odds = p / (1 - p);
  const logMass =
    logFactorials[n]! -
    logFactorials[mode]! -
    logFactorials[n - mode]! +
    (mode > 0 ? mode * Math.log(p) : 0) +
    (mode < n ? (n - mode) * Math.log1p(-p) : 0);
  const top = Math.exp(logMass);
  const least = 1e-17 * top;
  const below: number[] = [];
  for (let k = mode, mass = top; k > 0; k--) {
    mass *= k / ((n - k + 1) * odds);
    if (mass < least) break;
    below.push(mass);
  }
  const above: number[] = [];
  for (let k = mode, mass = top; k < n; k++) {
    mass *= ((n - k) * odds) / (k + 1);
    if (mass < least) break;
    above.push(mass);
  }
  return { first: mode - below.length, masses: [...below.reverse(), top, ...above] };
}

/** The least count at or below which there is that much. */
export function quantile({ first, masses }: Binomial, probability: number): number {
  let sum = 0;
  for (let i = 0; i < masses.length; i++) {
    sum += masses[i]!;
    if (sum >= probability) return first + i;
  }
  return first + masses.length - 1;
}

/** The smaller of the probabilities of at most and of at least that count. */
export function tailOf({ first, masses }: Binomial, count: number): number {
  if (count < first || count >= first + masses.length) return 0;
  let [below, above] = [0, 0];
  for (let i = 0; i <= count - first; i++) below += masses[i]!;
  for (let i = masses.length - 1; i >= count - first; i--) above += masses[i]!;
  return Math.min(below, above);
}

/** The least and the largest count whose `tailOf` is above a probability; none if the first is the larger one. */
export function countsAbove(
  { first, masses }: Binomial,
  probability: number,
): readonly [number, number] {
  let [lower, upper] = [0, masses.length - 1];
  for (let sum = masses[lower]!; sum <= probability && lower < masses.length; ) {
    lower += 1;
    sum += masses[lower] ?? 0;
  }
  for (let sum = masses[upper]!; sum <= probability && upper >= 0; ) {
    upper -= 1;
    sum += masses[upper] ?? 0;
  }
  return [first + lower, first + upper];
}

/**
 * The probability that counts of uniform ranks stay within bounds at all places: from count m at one place, m +
 * Bin(n − m, q) come to the next, where q is the share of the ranks still to come that fall in between.
 */
export function stayingWithin(
  bounds: readonly (readonly [number, number])[],
  count: number,
  logFactorials: Float64Array,
): number {
  let chance = new Map([[0, 1]]);
  for (const [k, [lower, upper]] of bounds.entries()) {
    const share = 1 / (bounds.length + 1 - k);
    const next = new Map<number, number>();
    for (const [m, mass] of chance) {
      const { first, masses } = binomial(count - m, share, logFactorials);
      const from = Math.max(lower, m + first);
      const to = Math.min(upper, m + first + masses.length - 1);
      for (let c = from; c <= to; c++) {
        next.set(c, (next.get(c) ?? 0) + mass * masses[c - m - first]!);
      }
    }
    chance = next;
  }
  let total = 0;
  for (const mass of chance.values()) total += mass;
  return total;
}
