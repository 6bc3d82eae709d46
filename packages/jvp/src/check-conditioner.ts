/** Derivative checks for conditioners: the library's own and its users'. */
import {
  type Conditioner,
  evaluate,
  type Parameter,
  requireConditioner,
  zeroGrad,
} from '@invnet/layers';
import { getBackend, memory, type RandomStream, type Tensor, tensor } from '@invnet/tensor';
import {
  type CheckResult,
  checkedOptions,
  distance,
  dot,
  type Numbers,
  norm,
  type Tolerances,
  throwIfFailed,
} from './check-results.ts';
import { disposeTensors, Made, Restored } from './check-scope.ts';
import { centralDifference, checkDirections } from './finite-differences.ts';

/** Where to check a conditioner. */
export interface ConditionerCheckOptions {
  /** An input. It is only read. */
  readonly x: Tensor;
  readonly context?: Tensor;
  readonly tolerances?: Partial<Tolerances>;
  /** Seed of the directions and of the loss. Default: 0. */
  readonly seed?: number;
}

/**
 * Checks `backward` and `jvp` against central differences in the input, the context and every
 * parameter, each against the other, accumulation over two calls, frozen parameters, and memory.
 *
 * Gradients of the parameters are cleared.
 *
 * @example
 * await setBackend('reference', { dtype: 'float64' });
 * console.table(await checkConditioner(new MyBlock(), { x }));
 */
export async function checkConditioner(
  g: Conditioner,
  options: ConditionerCheckOptions,
): Promise<CheckResult[]> {
  requireConditioner('checkConditioner', 'g', g);
  const { tolerances, random: draw } = checkedOptions('checkConditioner', options);
  const { x, context } = options;
  const random = draw();
  const results: CheckResult[] = [];
  const record = (name: string, error: number, tolerance: number) =>
    results.push({ name, error, tolerance, passed: error <= tolerance });
  const trained = g.parameters.filter((p) => !p.frozen);
  using _ = new Restored(g);
  using made = new Made();

  const start = made.own(evaluate(g, x, context));
  const weights = random.normalArray(start.size, 1 / Math.sqrt(start.size));
  const dy = made.own(like(weights, start));
  const loss = async (at: Tensor, c: Tensor | undefined) => {
    using y = evaluate(g, at, c);
    return dot(weights, await y.data());
  };

  zeroGrad(g.parameters);
  const first = made.own(backward(g, x, dy, context));
  const gradients = await gradientsOf(trained);
  const places: [string, Tensor, Numbers, (moved: Tensor) => [Tensor, Tensor | undefined]][] = [
    ['the input', x, await first.dx.data(), (moved) => [moved, context]],
  ];
  if (context) {
    const found = (await first.dcontext?.data()) ?? new Float64Array(context.size);
    places.push(['the context', context, found, (moved) => [x, moved]]);
  }
  trained.forEach((p, i) => {
    const assignAndStay = (moved: Tensor): [Tensor, Tensor | undefined] => {
      p.assign(moved);
      return [x, context];
    };
    places.push([p.name, p.data, gradients[i]!, assignAndStay]);
  });
  for (const [name, at, gradient, place] of places) {
    const values = await at.data();
    const move = async (to: Float64Array) => {
      using moved = like(to, at);
      return loss(...place(moved));
    };
    const error = await gradientError(move, values, gradient, random, tolerances);
    using restored = like(values, at);
    place(restored);
    record(`gradient of ${name} against central differences`, error, tolerances.derivative);
  }

  made.own(backward(g, x, dy, context));
  let worst = 0;
  for (const [i, found] of (await gradientsOf(trained)).entries()) {
    const twice = Float64Array.from(gradients[i]!, (v) => 2 * v);
    worst = Math.max(worst, distance(found, twice));
  }
  record('gradients accumulate over two calls', worst, tolerances.adjoint);

  const dx = made.own(random.normal(x.shape));
  const dc = context && made.own(random.normal(context.shape));
  const directions = new Map(trained.map((p) => [p, made.own(random.normal(p.shape))]));
  const exact = made.own(g.jvp(x, { x: dx, context: dc, parameters: directions }, context));
  const tangent = await exact.dy.data();
  let right = dot(await dx.data(), await first.dx.data());
  if (dc && first.dcontext) right += dot(await dc.data(), await first.dcontext.data());
  for (const [i, p] of trained.entries()) {
    right += dot(await directions.get(p)!.data(), gradients[i]!);
  }
  const left = dot(tangent, weights);
  const size = Math.max(norm(tangent) * norm(weights), Math.abs(right));
  record('⟨Jv, w⟩ = ⟨v, Jᵀw⟩', Math.abs(left - right) / size, tolerances.adjoint);
  const plain = made.own(evaluate(g, x, context));
  record('output of jvp', distance(await exact.y.data(), await plain.data()), tolerances.roundTrip);

  zeroGrad(g.parameters);
  for (const p of g.parameters) p.frozen = true;
  made.own(backward(g, x, dy, context));
  const gathered = g.parameters.filter((p) => p.grad).length;
  record('frozen parameters that gathered a gradient', gathered, 0);

  const calls: [string, () => readonly Tensor[]][] = [
    ['forward', () => [evaluate(g, x, context)]],
    ['backward', () => Object.values(backward(g, x, dy, context))],
    ['jvp', () => Object.values(g.jvp(x, { x: dx, context: dc }, context))],
  ];
  for (const [name, call] of calls) {
    const before = memory();
    disposeTensors(call());
    const after = memory();
    const left = Math.abs(after.liveBytes - before.liveBytes + after.tensors - before.tensors);
    record(`memory left by ${name}`, left + [x, dy].filter((t) => t.disposed).length, 0);
  }
  return results;
}

/** As `checkConditioner`. @throws CheckError with all results when one fails. */
export async function assertConditioner(
  g: Conditioner,
  options: ConditionerCheckOptions,
): Promise<void> {
  throwIfFailed('conditioner', await checkConditioner(g, options));
}

function backward(
  g: Conditioner,
  x: Tensor,
  dy: Tensor,
  context: Tensor | undefined,
): { dx: Tensor; dcontext?: Tensor } {
  const { y, saved } = g.forward(x, context);
  try {
    return g.backward(dy, saved);
  } finally {
    saved.dispose();
    y.dispose();
  }
}

function gradientsOf(parameters: readonly Parameter[]): Promise<Numbers[]> {
  return Promise.all(
    parameters.map(async (p) => (await p.grad?.data()) ?? new Float64Array(p.size)),
  );
}

/** The smallest error over the steps of the differences; see `Tolerances.steps`. */
async function gradientError(
  move: (values: Float64Array) => Promise<number>,
  start: Numbers,
  gradient: Numbers,
  random: RandomStream,
  tolerances: Tolerances,
): Promise<number> {
  const directions = checkDirections(start.length, random);
  const found = directions.map((d) => dot(gradient, d));
  let error = Number.POSITIVE_INFINITY;
  for (const h of tolerances.steps) {
    const expected: number[] = [];
    for (const d of directions) expected.push(await centralDifference(move, start, d, h));
    error = Math.min(error, distance(found, expected, 1e-2));
    if (error <= tolerances.derivative) break;
  }
  return error;
}

function like(values: ArrayLike<number>, at: Tensor): Tensor {
  const place = { backend: getBackend(), dtype: at.dtype };
  return tensor(Float64Array.from(values), at.shape, place);
}
