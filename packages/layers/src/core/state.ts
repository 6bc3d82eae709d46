/** What an invertible map acts on: one tensor, or a pair of them; and the shapes of that. */
import { type Shape, type Tensor, ValueError } from '@invnet/tensor';

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
  return isPair(state) ? state : [state];
}

/** Is the state a pair? */
export function isPair(state: State): state is Pair {
  return Array.isArray(state);
}

/** The shapes of the state's tensors. */
export function shapeOf<S extends State>(state: S): ShapeOf<S>;
export function shapeOf(state: State): AnyShape {
  return isPair(state) ? [state[0].shape, state[1].shape] : state.shape;
}

/** Each shape of a state's: one, or two. */
export function shapesIn(shape: AnyShape): readonly Shape[] {
  return Array.isArray(shape[0]) ? (shape as readonly [Shape, Shape]) : [shape as Shape];
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

/** As `mapState`, of the shapes of a state. */
export function mapShape<S extends State>(shape: ShapeOf<S>, f: (s: Shape) => Shape): ShapeOf<S>;
export function mapShape(shape: AnyShape, f: (s: Shape) => Shape): Shape | readonly Shape[] {
  const mapped = shapesIn(shape).map(f);
  return mapped.length === 1 ? mapped[0]! : mapped;
}

/** As `mapState`, of two states of one kind. */
export function zipStates<S extends State>(a: S, b: S, f: (s: Tensor, t: Tensor) => Tensor): S;
export function zipStates(a: State, b: State, f: (s: Tensor, t: Tensor) => Tensor): State {
  if (isPair(a) && isPair(b)) return [f(a[0], b[0]), f(a[1], b[1])];
  if (isPair(a) || isPair(b))
    throw new ValueError('expected two tensors or two pairs, got one of each.');
  return f(a, b);
}

/** Are two shapes, or two pairs of shapes, equal? */
export function sameShape(a: AnyShape, b: AnyShape): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    const [size, other] = [a[i]!, b[i]!];
    if (size === other) continue;
    if (typeof size === 'number' || typeof other === 'number' || !sameShape(size, other))
      return false;
  }
  return true;
}

/** `[2, 3]`, or `([2, 3], [2, 4])` for a pair, as it stands in messages. */
export function formatStateShape(shape: AnyShape): string {
  const texts = shapesIn(shape).map((s) => `[${s.join(', ')}]`);
  return texts.length === 1 ? texts[0]! : `(${texts.join(', ')})`;
}
