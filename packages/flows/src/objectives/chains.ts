/** Have chains converged, and how many independent draws are they worth? Mathematics: docs/math/flows/hamiltonian.md */
import { formatValue, requireOptions, requireWhole, ValueError } from '@invnet/tensor';

/** How many draws and chains there are. */
export interface ChainSizes {
  /** Draws of each chain, at least 4. */
  readonly draws: number;
  readonly chains: number;
}

/** Of each number of a state. */
export interface ChainDiagnostics {
  /** Split-R̂: about 1 where all halves of chains tell the same, above 1.01 where they do not; ∞ for what never moves. */
  readonly rHat: Float64Array<ArrayBuffer>;
  /** The number of independent draws whose mean has the same error; 0 for what never moves. */
  readonly effectiveSampleSize: Float64Array<ArrayBuffer>;
}

/**
 * Split-R̂ and effective sample sizes (Vehtari, Gelman, Simpson, Carpenter and Bürkner, "Rank-normalization, folding,
 * and localization", 2021, equations 1 to 13, without ranks). Each chain counts as two, its halves; correlations are
 * summed by Geyer's initial monotone sequence.
 *
 * @param values numbers of the states, [draws, chains, …]: the draws of all chains one after the other
 * @throws ValueError unless they fill at least 4 draws of at least one chain, and are finite.
 * @example const { rHat, effectiveSampleSize } = chainDiagnostics(numbers, { draws: 1000, chains: 4 });
 */
export function chainDiagnostics(
  values: Float32Array | Float64Array,
  sizes: ChainSizes,
): ChainDiagnostics {
  requireOptions('chainDiagnostics', sizes, ['draws', 'chains']);
  const { draws, chains } = sizes;
  requireWhole('chainDiagnostics', 'draws', draws, 4);
  requireWhole('chainDiagnostics', 'chains', chains, 1);
  const size = requireStates(values, draws * chains);
  const half = Math.floor(draws / 2);
  const rHat = new Float64Array(size);
  const effectiveSampleSize = new Float64Array(size);
  for (let i = 0; i < size; i++) {
    const halves = Array.from({ length: 2 * chains }, (_, m) => {
      const [chain, first] = [m % chains, m < chains ? 0 : draws - half];
      return Float64Array.from({ length: half }, (__, t) => {
        return values[((first + t) * chains + chain) * size + i]!;
      });
    });
    const spread = new Spread(halves);
    rHat[i] = Math.sqrt(spread.ratio);
    effectiveSampleSize[i] = spread.effectiveSize();
  }
  return { rHat, effectiveSampleSize };
}

function requireStates(values: Float32Array | Float64Array, states: number): number {
  const size = values?.length / states;
  const numbers = values instanceof Float32Array || values instanceof Float64Array;
  if (!numbers || !Number.isInteger(size) || size === 0) {
    const came = numbers ? `${values.length} numbers` : formatValue(values);
    throw new ValueError(
      `chainDiagnostics: got ${came}; expected a Float32Array or Float64Array of ${states} states of equal size.`,
    );
  }
  const bad = values.findIndex((v) => !Number.isFinite(v));
  if (bad < 0) return size;
  throw new ValueError(`chainDiagnostics: number ${bad} is ${values[bad]}; expected finite ones.`);
}

/** How one number spreads within sequences of equal length, and between them. */
class Spread {
  readonly #centered: readonly Float64Array[];
  readonly #length: number;
  readonly #within: number;
  readonly #pooled: number;

  constructor(sequences: readonly Float64Array[]) {
    const n = sequences[0]!.length;
    const means = sequences.map((s) => s.reduce((a, b) => a + b) / n);
    const overall = means.reduce((a, b) => a + b) / means.length;
    const between = means.reduce((sum, m) => sum + (m - overall) ** 2, 0) / (means.length - 1);
    this.#centered = sequences.map((s, i) => s.map((v) => v - means[i]!));
    this.#length = n;
    // Means of equal numbers may differ from them by rounding.
    const moves = sequences.some((s) => s.some((v) => v !== s[0]));
    this.#within = moves ? this.#covariance(0) * (n / (n - 1)) : 0;
    this.#pooled = ((n - 1) / n) * this.#within + between;
  }

  /** The variance of all over that within sequences. */
  get ratio(): number {
    return this.#within === 0 ? Number.POSITIVE_INFINITY : this.#pooled / this.#within;
  }

  /** MN/τ, with τ = −1 + 2 Σ (ρ₂ₖ + ρ₂ₖ₊₁) over the pairs before the first that is not positive, none above one before it. */
  effectiveSize(): number {
    if (this.#within === 0) return 0;
    const total = this.#centered.length * this.#length;
    let [tau, least] = [-1, Number.POSITIVE_INFINITY];
    for (let lag = 0; lag + 1 < this.#length; lag += 2) {
      const pair = this.#correlation(lag) + this.#correlation(lag + 1);
      if (!(pair > 0)) break;
      least = Math.min(least, pair);
      tau += 2 * least;
    }
    // Of draws that repel each other, not more than the paper allows.
    return Math.min(total / Math.max(tau, 0), total * Math.log10(total));
  }

  #correlation(lag: number): number {
    if (lag === 0) return 1;
    return 1 - (this.#within - this.#covariance(lag)) / this.#pooled;
  }

  /** Σ vₜ vₜ₊ₗ/n, the mean over sequences. */
  #covariance(lag: number): number {
    const n = this.#length;
    let sum = 0;
    for (const s of this.#centered) for (let t = 0; t + lag < n; t++) sum += s[t]! * s[t + lag]!;
    return sum / (n * this.#centered.length);
  }
}
