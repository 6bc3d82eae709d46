/** What ranks say of a posterior, in words: which way it is wrong, where chance does not explain them. */
import { rankTest } from '@invnet/metrics';

/** What is known of one parameter, a number for each pair. */
export interface ParameterCalibration {
  readonly name: string;
  /** Of the truth among the draws, 0 … draws (Talts et al., 2018). */
  readonly ranks: Float64Array;
  /** (posterior mean − truth)/posterior deviation. */
  readonly zScores: Float64Array;
  /** 1 − (posterior deviation/prior deviation)², with the deviation of all truths. */
  readonly contraction: Float64Array;
}

/** Where truths are among samples of their posteriors. */
export interface CalibrationRanks {
  readonly count: number;
  /** Samples for each pair, which all ranks are among. */
  readonly draws: number;
  readonly parameters: readonly ParameterCalibration[];
  /** How many draws are nearer to a random point than the truth (Lemos et al., 2023). */
  readonly tarpRanks: Float64Array;
  /** How many draws have a higher density than the truth (Hermans et al., 2022), where there is one. */
  readonly densityRanks: Float64Array | undefined;
  /**
   * log p(θ | x) of the truth of each pair, in nats, where there are densities. Of two posteriors of the same pairs, the one with
   * the higher mean is nearer to the truth (Lueckmann et al., 2021), whatever losses they were trained with.
   */
  readonly logDensities: Float64Array | undefined;
}

/** A test of one kind of ranks. */
export interface CalibrationTest {
  /** A parameter's name, `'highest density'` or `'random points'`. */
  readonly of: string;
  readonly kind: 'SBC' | 'coverage' | 'TARP';
  /** Exact, of this test alone. */
  readonly pValue: number;
  /** Mean rank in standard errors off its own. */
  readonly bias: number;
  /** Mean square of ranks from the middle, likewise. */
  readonly spread: number;
  /** Where p is below 1 % over the number of tests: what is wrong with the posterior. */
  readonly finding?: string;
}

/** Of all tests together, how often one finds something in a posterior that is exact. */
const level = 0.01;

/** A test of each parameter's ranks, of those of densities where there are some, and of random points. */
export function testsOf(calibration: CalibrationRanks): CalibrationTest[] {
  const { draws, parameters, densityRanks, tarpRanks } = calibration;
  const all = [
    ...parameters.map(({ name, ranks }) => ({ of: name, kind: 'SBC' as const, ranks })),
    ...(densityRanks
      ? [{ of: 'highest density', kind: 'coverage' as const, ranks: densityRanks }]
      : []),
    { of: 'random points', kind: 'TARP' as const, ranks: tarpRanks },
  ];
  return all.map(({ ranks, ...test }) => {
    const tested = { ...test, ...rankTest(ranks, { draws }) };
    if (tested.pValue >= level / all.length) return tested;
    return { ...tested, finding: findings[test.kind](tested) };
  });
}

type Shape = { readonly bias: number; readonly spread: number };

/** Standard errors from which on a shape has a name. */
const clear = 3;

const findings = {
  SBC({ bias, spread }: Shape): string {
    const found = [
      ...(bias > clear ? ['too low'] : []),
      ...(bias < -clear ? ['too high'] : []),
      // Ranks that are off are also further from the middle.
      ...(spread > Math.max(clear, Math.abs(bias)) ? ['too narrow'] : []),
      ...(spread < -clear ? ['too wide'] : []),
    ];
    return found.length > 0 ? `samples are ${found.join(' and ')}` : 'samples are not calibrated';
  },
  coverage({ bias }: Shape): string {
    if (bias > clear) return 'regions hold the truth too seldom: the posterior is too sure, or off';
    if (bias < -clear) return 'regions hold the truth too often: the posterior is too wide';
    return 'regions do not hold the truth as often as they say';
  },
  TARP({ spread }: Shape): string {
    if (spread > clear) return 'the posterior is too narrow, or off';
    if (spread < -clear) return 'the posterior is too wide';
    return 'balls do not hold the truth as often as they say';
  },
};
