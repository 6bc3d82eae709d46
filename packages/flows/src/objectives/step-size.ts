/** The step size of Hamiltonian Monte Carlo, found by dual averaging. Mathematics: docs/math/flows/hamiltonian.md */

/** How strongly, from when on, and how long-lasting early draws count: the constants of the paper. */
const [gamma, delay, decay] = [0.05, 10, 0.75];

/**
 * A step size at which a given share of proposals is accepted (Hoffman and Gelman, "The No-U-Turn sampler", 2014,
 * section 3.2): it is lowered while fewer are, and its average over the search is what one settles on.
 */
export class StepSize {
  readonly #target: number;
  readonly #center: number;
  #count = 0;
  #shortfall = 0;
  #log: number;
  #average: number;

  constructor(start: number, target: number) {
    this.#target = target;
    this.#center = Math.log(10 * start);
    this.#log = Math.log(start);
    this.#average = this.#log;
  }

  /** For the next draw of the search. */
  get current(): number {
    return Math.exp(this.#log);
  }

  /** For all draws after it. */
  get settled(): number {
    return Math.exp(this.#average);
  }

  /** @param accepted the share of proposals that were accepted with the current one */
  adapt(accepted: number): void {
    const t = ++this.#count;
    const share = 1 / (t + delay);
    this.#shortfall += share * (this.#target - accepted - this.#shortfall);
    this.#log = this.#center - (Math.sqrt(t) / gamma) * this.#shortfall;
    const weight = t ** -decay;
    this.#average += weight * (this.#log - this.#average);
  }
}
