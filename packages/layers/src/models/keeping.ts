/**
 * What a forward keeps for its backward, chosen call by call: nothing, as by itself, what conditioners leave,
 * or states too.
 *
 * Left out: how that is kept (`recording.ts`). Layers know nothing of either.
 */
import {
  requireFunction,
  requireOneOf,
  requireRecord,
  requireSynchronous,
  ValueError,
} from '@invnet/tensor';
import { type State, tensorsOf } from '../core/state.ts';
import { type Tape, withTape } from '../core/tape.ts';
import { type Module, placesIn } from '../tree/module.ts';
import { pathExpression } from '../tree/path.ts';
import { type KeepLevel, type Levels, type Recorded, record } from './recording.ts';

/** How much a network keeps: all its modules alike, or by patterns of paths, of which the first that matches counts. */
export type Keep = KeepLevel | Readonly<Record<string, KeepLevel>>;

const expected = "'nothing', 'inputs' or 'all', or a record of them by path";
const keepLevels: readonly KeepLevel[] = ['nothing', 'inputs', 'all'];

/**
 * Runs `fn`, in which each forward of a network keeps what its backward can use, at the cost of memory that
 * grows with depth; gradients are the same to rounding. `backward` of the very y that `forward` gave takes
 * it, and frees it as it goes; what is left is freed in the end. As for any backward, parameters are those of the
 * forward: what is moved in between gives gradients of neither, and nobody notices.
 *
 * - `nothing`: the output alone, from which all is recomputed, with one more evaluation of each conditioner.
 *   So it is without `keeping`.
 * - `inputs`: what conditioners leave for their backward, and their results. None is evaluated a second time,
 *   and the states between layers are still recomputed, by arithmetic.
 * - `all`: the states too. They are those of the forward bit for bit.
 *
 * Of a conditioner, such as a `RevNet`, the bijections in it keep.
 *
 * By path, as `freeze` has them, `keep` differs within a network: a pattern that is the path of a module
 * means all in it, and what none matches keeps nothing. Paths are those from the network that is called; in
 * what is made for a call alone, as `whole` of a `Composite` is, only the parts have one, and keep.
 *
 * @throws ValueError for another level, for a pattern that matches no module, and unless `fn` is synchronous.
 * @example
 * const loss = keeping('inputs', () => negativeLogLikelihood(flow, x));
 * keeping({ 'scales.0': 'nothing', '**': 'inputs' }, () => negativeLogLikelihood(flow, x));
 */
export function keeping<T>(keep: Keep, fn: () => T): T {
  using kept = new Keeping(keep);
  return kept.run(fn);
}

/**
 * As `keeping`, in several runs: for a backward that comes later than its forward, as behind an `await`.
 *
 * @example
 * using kept = new Keeping('inputs');
 * const { y } = kept.run(() => network.forward(x));
 * const dy = await gradientAt(y);
 * const { dx } = kept.run(() => network.backward(y, dy));
 */
export class Keeping implements Disposable {
  readonly #keep: Keep;
  readonly #results: { readonly y: State; readonly recorded: Recorded }[] = [];

  constructor(keep: Keep) {
    if (typeof keep !== 'string') requireRecord('keeping', 'keep', keep, expected);
    for (const level of typeof keep === 'string' ? [keep] : Object.values(keep)) {
      requireOneOf('keeping', 'keep', level, keepLevels);
    }
    this.#keep = typeof keep === 'string' ? keep : { ...keep };
  }

  /** Runs `fn`, whose forwards keep and whose backwards take what was kept, by this or an earlier run. */
  run<T>(fn: () => T): T {
    requireFunction('keeping', 'fn', fn);
    const result = withTape(this.#keep === 'nothing' ? undefined : this.#outside, fn);
    requireSynchronous('keeping', result);
    return result;
  }

  /** Frees what no backward has taken. */
  dispose(): void {
    for (const { recorded } of this.#results.splice(0)) recorded.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  readonly #outside = this.#within();

  /** What outermost calls pass by, and bijections within a conditioner, whose paths are from that one. */
  #within(root?: Module): Tape {
    return {
      forth: (f, way, x, run) => {
        const { result, recorded } = record(levelsIn(root ?? f, this.#keep), f, way, x, run);
        const y = result[way === 'forward' ? 'y' : 'x'];
        if (y) this.#results.push({ y, recorded });
        return result;
      },
      back: (f, way, y, run) => {
        const at = this.#results.findIndex(
          ({ recorded, y: known }) => recorded.isOf(f, way) && sameTensors(known, y),
        );
        const [found] = at < 0 ? [] : this.#results.splice(at, 1);
        return found ? found.recorded.replay(run) : withTape(undefined, run);
      },
      evaluate: (g, x, context, run) =>
        root ? run(x, context) : withTape(this.#within(g), () => run(x, context)),
      evaluateBack: (run) => run(),
    };
  }
}

/** The very same tensors, whose numbers are therefore those that a forward gave. */
function sameTensors(a: State, b: State): boolean {
  const others = tensorsOf(b);
  return tensorsOf(a).every((t, i) => t === others[i]);
}

/** How much each module of a network keeps. @throws ValueError for a pattern that matches none. */
function levelsIn(network: Module, keep: Keep): Levels {
  const places = [...placesIn(network)];
  if (typeof keep === 'string') return new Map(places.map(({ module }) => [module, keep]));
  const levels = new Map<Module, KeepLevel>(places.map(({ module }) => [module, 'nothing']));
  // From behind, so that the first pattern that matches has the last word.
  for (const [pattern, level] of Object.entries(keep).reverse()) {
    const expression = pathExpression(pattern);
    const matching = places.filter(({ path }) => expression.test(`${path}.`));
    if (matching.length === 0) {
      throw new ValueError(
        `keeping: no module of ${network.type} matches '${pattern}'; expected a path or a pattern of paths, ` +
          `which are like '${places.at(-1)!.path}'.`,
      );
    }
    for (const { module } of matching) levels.set(module, level);
  }
  return levels;
}
