/** What an invertible map acts on: one tensor, or a pair of them; and the shapes of that. */
import {
  requireFunction,
  requireList,
  requireTensor,
  type Shape,
  type Tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';

/** Two tensors that a map moves together, as the two time levels of a leapfrog step. */
export type Pair = readonly [Tensor, Tensor];

/** The argument and the result of a `Bijection`. */
export type State = Tensor | Pair;

/** The shape of a tensor, or those of a pair. */
export type AnyShape = Shape | readonly [Shape, Shape];

/** The shape of a state, batch first: one shape, or one for each tensor of a pair. */
export type ShapeOf<S extends State = State> = S extends Pair ? readonly [Shape, Shape] : Shape;

/** The state's tensors, in order: one, or two. */
export function tensorsOf(state: State): readonly Tensor[] {
  return isPair(state) ? requirePair(state) : [requireTensor('state', state)];
}

/** @throws ValueError unless a list is a pair of tensors. */
function requirePair(state: Pair): Pair {
  if (state.length !== 2) {
    throw new ValueError(
      `state: got a list of ${(state as readonly Tensor[]).length}; expected a pair.`,
    );
  }
  for (const t of state) requireTensor('state', t);
  return state;
}

/** Is the state a pair? */
export function isPair(state: State): state is Pair {
  return Array.isArray(state);
}

/** The shapes of the state's tensors. */
export function shapeOf<S extends State>(state: S): ShapeOf<S>;
export function shapeOf(state: State): AnyShape {
  const [first, second] = tensorsOf(state);
  return second ? [first!.shape, second.shape] : first!.shape;
}

/** Each shape of a state's: one, or two. */
export function shapesIn(shape: AnyShape): readonly Shape[] {
  requireList('state', 'the shape', shape);
  return Array.isArray(shape[0]) ? (shape as readonly [Shape, Shape]) : [shape as Shape];
}

/** Frees the state's tensors. */
export function disposeState(state: State): void {
  for (const t of tensorsOf(state)) t.dispose();
}

/** The state with each tensor replaced by what `f` makes of it. */
export function mapState<S extends State>(state: S, f: (t: Tensor) => Tensor): S;
export function mapState(state: State, f: (t: Tensor) => Tensor): State {
  requireFunction('mapState', 'f', f);
  const [first, second] = tensorsOf(state);
  return second ? tidy(() => [f(first!), f(second)] as const) : f(first!);
}

/** As `mapState`, of the shapes of a state. */
export function mapShape<S extends State>(shape: ShapeOf<S>, f: (s: Shape) => Shape): ShapeOf<S>;
export function mapShape(shape: AnyShape, f: (s: Shape) => Shape): Shape | readonly Shape[] {
  requireFunction('mapShape', 'f', f);
  const mapped = shapesIn(shape).map(f);
  return mapped.length === 1 ? mapped[0]! : mapped;
}

/** As `mapState`, of two states of one kind. */
export function zipStates<S extends State>(a: S, b: S, f: (s: Tensor, t: Tensor) => Tensor): S;
export function zipStates(a: State, b: State, f: (s: Tensor, t: Tensor) => Tensor): State {
  requireFunction('zipStates', 'f', f);
  const [[a1, a2], [b1, b2]] = [tensorsOf(a), tensorsOf(b)];
  if (a2 && b2) return tidy(() => [f(a1!, b1!), f(a2, b2)] as const);
  if (a2 || b2) throw new ValueError('zipStates: got a tensor and a pair; expected two of a kind.');
  return f(a1!, b1!);
}

/** Are two shapes, or two pairs of shapes, equal? */
export function sameShape(a: AnyShape, b: AnyShape): boolean {
  if (!Array.isArray(a) || a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    const [size, other] = [a[i]!, b[i]!];
    if (size === other) continue;
    if (!Array.isArray(size) || !Array.isArray(other) || !sameShape(size, other)) return false;
  }
  return true;
}

/** `[2, 3]`, or `([2, 3], [2, 4])` for a pair, as it stands in messages. */
export function formatStateShape(shape: AnyShape): string {
  const texts = shapesIn(shape).map((s) => `[${s.join(', ')}]`);
  return texts.length === 1 ? texts[0]! : `(${texts.join(', ')})`;
}
