/**
 * The calls of one forward of a network and what they left, and its backward, which takes that. Both go by the
 * tree: what a module left is found under that module, within the call that it was called in. Of several calls
 * of one bijection the last comes first, so backwards call their parts in the reverse of the order of their
 * forwards; several evaluations of one conditioner are not told apart, and are made again.
 *
 * What is made for one call alone, as `whole` of a `Composite` is, stands in no tree and is looked through.
 */
import { collectTensors, isTemporary, keep, type Tensor } from '@invnet/tensor';
import { type Evaluation, savedBy } from '../core/saved.ts';
import { disposeState, mapState, type State } from '../core/state.ts';
import { type Evaluate, type Mapping, type Tape, type Way, withTape } from '../core/tape.ts';
import type { Module } from '../tree/module.ts';

/** How much a module keeps: nothing, what its conditioners leave, or its states too. */
export type KeepLevel = 'nothing' | 'inputs' | 'all';

/** How much each module of a network keeps. */
export type Levels = ReadonlyMap<Module, KeepLevel>;

/** What a forward left for its backward, once. */
export interface Recorded {
  /** Is it of a call of f, in that direction? */
  isOf(f: Module, way: Way): boolean;
  /** Runs the backward, which takes and frees it. */
  replay<S extends State, R>(run: (x?: S) => R): R;
  dispose(): void;
}

/** Runs a forward or an inverse of x by f, and keeps what its modules leave. */
export function record<R>(
  levels: Levels,
  f: Mapping,
  way: Way,
  x: State,
  run: () => R,
): { result: R; recorded: Recorded } {
  const { result, call } = new Recording(levels).record(f, way, x, run);
  const recorded: Recorded = {
    isOf: (by, in_) => by === call.by && in_ === call.way,
    replay: (run) => new Replay(levels, call).whole(run),
    dispose: () => release(call),
  };
  return { result, recorded };
}

/** What one call of a bijection left. */
interface Call {
  readonly by: Mapping;
  readonly way: Way;
  /** What was left within it, in order; what a backward has taken is out of it. */
  readonly within: (Call | Evaluated)[];
  /** Its argument, where that is kept. */
  state?: State;
  /** Has it called another bijection? Then the states are kept by that one. */
  delegates: boolean;
}

/** What one evaluation of a conditioner left. */
interface Evaluated extends Evaluation {
  readonly by: Module;
  readonly way: 'evaluation';
}

/** What calls within a forward pass by. */
class Recording implements Tape {
  readonly #levels: Levels;
  #here: Call | undefined;

  constructor(levels: Levels) {
    this.#levels = levels;
  }

  record<R>(by: Mapping, way: Way, x: State, run: () => R): { result: R; call: Call } {
    const call: Call = { by, way, within: [], delegates: false };
    const outer = this.#here;
    this.#here = call;
    try {
      const result = withTape(this, run);
      if (this.#keepsArgument(call)) call.state = mapState(x, (t) => keep(view(t)));
      outer?.within.push(call);
      return { result, call };
    } catch (error) {
      release(call);
      throw error;
    } finally {
      this.#here = outer;
    }
  }

  forth<R>(f: Mapping, way: Way, x: State, run: () => R): R {
    if (this.#here) this.#here.delegates = true;
    return this.#levels.has(f) ? this.record(f, way, x, run).result : run();
  }

  back<S extends State, R>(_f: Mapping, _way: Way, _y: S, run: (x?: S) => R): R {
    return withTape(undefined, run);
  }

  evaluate<K>(g: Module, x: Tensor, context: Tensor | undefined, run: Evaluate<K>): Evaluation<K> {
    const level = this.#levels.get(g) ?? 'nothing';
    if (level === 'nothing') return withTape(undefined, () => run(x, context));
    // What is left may hold the arguments, which their owners free.
    const [ownX, ownContext] = [keep(view(x)), context && keep(view(context))];
    const free = () => {
      ownX.dispose();
      ownContext?.dispose();
    };
    try {
      const { y, saved } = withTape(undefined, () => run(ownX, ownContext));
      const made = new Set([y]);
      collectTensors(saved.kept, made);
      for (const t of made) if (isTemporary(t)) keep(t);
      // Once: whoever takes it frees it, and so does the end of the backward.
      let freed = false;
      const dispose = () => {
        if (freed) return;
        freed = true;
        saved.dispose();
        y.dispose();
        free();
      };
      const left = savedBy(g, { ...saved, dispose });
      this.#here!.within.push({ by: g, way: 'evaluation', y, saved: left });
      return { y: view(y), saved: savedBy(g, { ...saved, dispose: () => {} }) };
    } catch (error) {
      free();
      throw error;
    }
  }

  evaluateBack<R>(run: () => R): R {
    return withTape(undefined, run);
  }

  #keepsArgument({ by, delegates }: Call): boolean {
    const level = this.#levels.get(by);
    if (level === 'all') return !delegates;
    return level === 'inputs' && by.keepsInput;
  }
}

/** What calls within the backward pass by. */
class Replay implements Tape {
  readonly #levels: Levels;
  readonly #whole: Call;
  #here: Call;
  /** Given to who frees it; in the end here, where something went wrong. */
  readonly #lent: Evaluated[] = [];

  constructor(levels: Levels, whole: Call) {
    this.#levels = levels;
    this.#whole = whole;
    this.#here = whole;
  }

  whole<S extends State, R>(run: (x?: S) => R): R {
    try {
      return withTape(this, () => this.#replay(this.#whole, run));
    } finally {
      for (const { saved } of this.#lent) saved.dispose();
    }
  }

  forth<R>(_f: Mapping, _way: Way, _x: State, run: () => R): R {
    return withTape(undefined, run);
  }

  back<S extends State, R>(f: Mapping, way: Way, _y: S, run: (x?: S) => R): R {
    if (!this.#levels.has(f)) return run();
    const call = this.#take(f, way);
    return call?.way === way ? this.#replay(call, run) : withTape(undefined, run);
  }

  evaluate<K>(g: Module, x: Tensor, context: Tensor | undefined, run: Evaluate<K>): Evaluation<K> {
    // Of several in one call nobody knows in which order they are asked for.
    const several = this.#here.within.filter(({ by }) => by === g).length > 1;
    const left = several ? undefined : this.#take(g, 'evaluation');
    if (left?.way !== 'evaluation') return withTape(undefined, () => run(x, context));
    this.#lent.push(left);
    const y = view(left.y);
    left.y.dispose();
    // It is what g itself left.
    return { y, saved: left.saved as Evaluation<K>['saved'] };
  }

  /** What is called within it is its own, as it was in its forward. */
  evaluateBack<R>(run: () => R): R {
    return withTape(undefined, run);
  }

  #replay<S extends State, R>(call: Call, run: (x?: S) => R): R {
    const outer = this.#here;
    this.#here = call;
    // As a result that belongs to the caller. What f was given is of f's kind.
    const x = call.state && (mapState(call.state, view) as S);
    try {
      return run(x);
    } catch (error) {
      if (x) disposeState(x);
      throw error;
    } finally {
      this.#here = outer;
      release(call);
    }
  }

  #take(by: Module, way: Call['way'] | Evaluated['way']): Call | Evaluated | undefined {
    const { within } = this.#here;
    const at = within.findLastIndex((left) => left.by === by && left.way === way);
    return at < 0 ? undefined : within.splice(at, 1)[0];
  }
}

/** Frees what is left of a call. */
function release(call: Call): void {
  if (call.state) disposeState(call.state);
  for (const left of call.within.splice(0)) {
    if (left.way === 'evaluation') left.saved.dispose();
    else release(left);
  }
}

/** The same numbers, to be freed on their own. */
function view(t: Tensor): Tensor {
  return t.reshape(t.shape);
}
