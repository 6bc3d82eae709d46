/** What an invertible map acts on: one tensor, or a pair of them. */
import { type Tensor, ValueError } from '@invnet/tensor';

/** Two tensors that a map moves together, as the two time levels of a leapfrog step. */
export type Pair = readonly [Tensor, Tensor];

/** The argument and the result of a `Bijection`. */
export type State = Tensor | Pair;

/** The state's tensors, in order: one, or two. */
export function tensorsOf(state: State): readonly Tensor[] {
  return isPair(state) ? state : [state];
}

/** Is the state a pair? */
export function isPair(state: State): state is Pair {
  return Array.isArray(state);
}

/** Frees the state's tensors. */
export function disposeState(state: State): void {
  for (const t of tensorsOf(state)) t.dispose();
}

/** The state with each tensor replaced by what `f` makes of it. */
export function mapState<S extends State>(state: S, f: (t: Tensor) => Tensor): S;
export function mapState(state: State, f: (t: Tensor) => Tensor): State {
  return isPair(state) ? [f(state[0]), f(state[1])] : f(state);
}

/** As `mapState`, of two states of one kind. */
export function zipStates<S extends State>(a: S, b: S, f: (s: Tensor, t: Tensor) => Tensor): S;
export function zipStates(a: State, b: State, f: (s: Tensor, t: Tensor) => Tensor): State {
  if (isPair(a) && isPair(b)) return [f(a[0], b[0]), f(a[1], b[1])];
  if (isPair(a) || isPair(b))
    throw new ValueError('expected two tensors or two pairs, got one of each.');
  return f(a, b);
}
