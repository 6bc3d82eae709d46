/**
 * Derivative checks for anything that keeps the contract of an invertible layer: the library's own
 * and its users'. They are exact to rounding in float64 on the reference backend; in float32 give
 * tolerances of your own.
 *
 * Left out: statistics. Each check is a hard bound on one number.
 */
import {
  type Bijection,
  copyModule,
  isModuleType,
  MissingPartError,
  namedBuffers,
  type Parameter,
  requireBijection,
  summary,
  zeroGrad,
} from '@invnet/layers';
import {
  getBackend,
  memory,
  type RandomStream,
  type Shape,
  type Tensor,
  tensor,
  tidy,
} from '@invnet/tensor';
import { compareKeeping } from './check-keeping.ts';
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
import { logAbsDeterminant } from './determinant.ts';
import { type DirectedMap, forwardMap, inverseMap } from './directed.ts';
import { centralDifference, checkDirections } from './finite-differences.ts';

/** Where to check a bijection. */
export interface CheckOptions {
  /** An input. It is only read. */
  readonly x: Tensor;
  readonly context?: Tensor;
  readonly tolerances?: Partial<Tolerances>;
  /** Seed of the directions and of the loss. Default: 0. */
  readonly seed?: number;
}

/**
 * Checks all six methods, in both directions: round trips, log-determinants against full Jacobians,
 * gradients (input, context, every parameter) and tangents against central differences with a loss
 * that uses output and log-determinant, adjointness, accumulation, frozen parameters, memory, and `keeping`.
 *
 * Of a `CustomBijection` that was made without some derivatives, what needs them is left out.
 *
 * Gradients of the parameters are cleared. A layer that depends on data is checked as it stands:
 * `initialize` it before. A map of pairs is checked as `Flattened`.
 *
 * @example
 * await setBackend('reference', { dtype: 'float64' });
 * const report = await checkBijection(new MyLayer(), { x });
 * console.table(report);
 */
export async function checkBijection(f: Bijection, options: CheckOptions): Promise<CheckResult[]> {
  requireBijection('checkBijection', 'f', f, 1);
  const { tolerances, random: draw } = checkedOptions('checkBijection', options);
  const { x, context } = options;
  using _ = new Restored(f);
  using made = new Made();
  const { y } = made.own(f.forward(x, context));
  const results = await checkCopy(f, y, options);
  const maps = [
    { map: forwardMap(f), opposite: inverseMap(f), u: x },
    { map: inverseMap(f), opposite: forwardMap(f), u: y },
  ];
  for (const { map, opposite, u } of maps) {
    const random = draw();
    const probe = new Probe(f, map, u, context, random, tolerances);
    await probe.run(opposite);
    results.push(...probe.results);
  }
  return results;
}

/**
 * Is a copy that is built from `options` the same map? A forgotten option would load as another one. Maps
 * without a type for files, and custom blocks that are none of the library's, are not copied.
 */
async function checkCopy(
  f: Bijection,
  y: Tensor,
  { x, context }: CheckOptions,
): Promise<CheckResult[]> {
  if (!isModuleType(f.constructor)) return [];
  using made = new Made();
  const copy = copyModule(f);
  const own = new Set(f.parameters.map((p) => p.identity));
  for (const p of copy.parameters) if (!own.has(p.identity)) made.own(p.data);
  made.own([...namedBuffers(copy).values()]);
  const { y: again } = made.own(copy.forward(x, context));
  const error = distance(await again.data(), await y.data());
  const sameTable = summary(copy) === summary(f);
  const passed = error === 0 && sameTable;
  return [{ name: 'a copy built from its options', error, tolerance: 0, passed }];
}

/** As `checkBijection`. @throws CheckError with all results when one fails. */
export async function assertBijection(f: Bijection, options: CheckOptions): Promise<void> {
  throwIfFailed('bijection', await checkBijection(f, options));
}

/** A loss ½Σb⊙v² + Σa⊙v + ½Σd⊙ℓ² + Σc⊙ℓ of an output v and a log-determinant ℓ. */
interface ProbeLoss {
  readonly a: Float64Array;
  readonly b: Float64Array;
  readonly c: Float64Array;
  readonly d: Float64Array;
}

/** What `check` gives, or the other one where it needs a part that a `CustomBijection` was made without. */
async function whereParts<T>(check: () => Promise<T>, otherwise: () => T): Promise<T> {
  try {
    return await check();
  } catch (error) {
    if (error instanceof MissingPartError) return otherwise();
    throw error;
  }
}

/** The checks of one direction at one point. */
class Probe {
  readonly results: CheckResult[] = [];
  readonly #f: Bijection;
  readonly #map: DirectedMap;
  readonly #u: Tensor;
  readonly #context: Tensor | undefined;
  readonly #random: RandomStream;
  readonly #tolerances: Tolerances;

  constructor(
    f: Bijection,
    map: DirectedMap,
    u: Tensor,
    context: Tensor | undefined,
    random: RandomStream,
    tolerances: Tolerances,
  ) {
    this.#f = f;
    this.#map = map;
    this.#u = u;
    this.#context = context;
    this.#random = random;
    this.#tolerances = tolerances;
  }

  async run(opposite: DirectedMap): Promise<void> {
    const checks = [
      () => this.#roundTrip(opposite),
      () => this.#logdet(),
      () => this.#gradients(),
      () => this.#tangents(),
      () => this.#frozen(),
      () => this.#memory(),
      () => this.#keeping(),
    ];
    for (const check of checks) await whereParts(check, () => {});
  }

  async #roundTrip(opposite: DirectedMap): Promise<void> {
    using made = new Made();
    const { v, logdet } = made.own(this.#map.apply(this.#u, this.#context));
    const back = made.own(opposite.apply(v, this.#context));
    const tolerance = this.#tolerances.roundTrip;
    const u = await this.#u.data();
    this.#record('round trip', distance(await back.v.data(), u), tolerance);
    const opposed = Float64Array.from(await back.logdet.data(), (l) => -l);
    this.#record(
      'log-determinant of the opposite',
      distance(opposed, await logdet.data()),
      tolerance,
    );
    const { u: recomputed } = made.own(this.#map.back(v, v, { context: this.#context }));
    this.#record('input recomputed by backward', distance(await recomputed.data(), u), tolerance);
  }

  async #logdet(): Promise<void> {
    const samples = this.#u.shape[0]!;
    const dims = this.#u.size / samples;
    const jacobians = Array.from({ length: samples }, () => new Float64Array(dims * dims));
    let logdet: Numbers = [];
    let { logdet: tolerance } = this.#tolerances;
    for (let j = 0; j < dims; j++) {
      // Samples do not interact, so one product gives column j of all their Jacobians.
      const e = new Float64Array(this.#u.size);
      for (let n = 0; n < samples; n++) e[n * dims + j] = 1;
      using made = new Made();
      const x = made.own(this.#like(e, this.#u));
      const { column, logdet: found } = await whereParts(
        async () => {
          const { dv, logdet } = made.own(this.#map.jvp(this.#u, { x }, this.#context));
          return { column: await dv.data(), logdet: await logdet.data() };
        },
        () => {
          tolerance = this.#tolerances.derivative;
          return this.#difference(x);
        },
      );
      for (let n = 0; n < samples; n++) {
        for (let i = 0; i < dims; i++) jacobians[n]![i * dims + j] = column[n * dims + i]!;
      }
      logdet = found;
    }
    const expected = jacobians.map((a) => logAbsDeterminant(a, dims));
    this.#record('log-determinant of the full Jacobian', distance(logdet, expected), tolerance);
  }

  /** The derivative of v along x by central differences, and the log-determinant nearby. */
  #difference(x: Tensor): { column: Numbers; logdet: Numbers } {
    const [h] = this.#tolerances.steps;
    const along = { x, context: undefined, parameters: new Map<Parameter, Tensor>() };
    const [[after, logdet], [before]] = [this.#applyMoved(along, h!), this.#applyMoved(along, -h!)];
    return { column: Float64Array.from(after, (v, i) => (v - before[i]!) / (2 * h!)), logdet };
  }

  async #gradients(): Promise<void> {
    const loss = this.#drawLoss();
    using made = new Made();
    zeroGrad(this.#f.parameters);
    const { du, dcontext } = made.own(await this.#backward(loss));
    const gradientsOf = () =>
      Promise.all(this.#f.parameters.map(async (p) => (p.grad ? p.grad.data() : undefined)));
    const gradients = await gradientsOf();
    const target = (name: string) => `gradient of ${name} against central differences`;
    await this.#compareGradient(target('the input'), this.#u, await du.data(), loss, (u) => ({
      u,
    }));
    if (this.#context) {
      // No gradient at all says that the context has no effect, which the differences confirm.
      const found = (await dcontext?.data()) ?? new Float64Array(this.#context.size);
      await this.#compareGradient(target('the context'), this.#context, found, loss, (context) => ({
        context,
      }));
    }
    for (const [i, p] of this.#f.parameters.entries()) {
      if (p.frozen) continue;
      const gradient = gradients[i] ?? new Float64Array(p.size);
      await this.#compareGradient(target(p.name), p.data, gradient, loss, (moved) => {
        p.assign(moved);
        return {};
      });
    }
    made.own(await this.#backward(loss));
    let worst = 0;
    for (const [i, g] of (await gradientsOf()).entries()) {
      if (g)
        worst = Math.max(
          worst,
          distance(
            g,
            Float64Array.from(gradients[i]!, (v) => 2 * v),
          ),
        );
    }
    this.#record('gradients accumulate over two calls', worst, this.#tolerances.adjoint);
  }

  async #tangents(): Promise<void> {
    using made = new Made();
    const all = made.own(this.#drawTangent());
    const { x, context, parameters } = all;
    const exact = made.own(this.#map.jvp(this.#u, all, this.#context));
    const [dv, dlogdet] = [await exact.dv.data(), await exact.dlogdet.data()];
    const plain = made.own(this.#map.apply(this.#u, this.#context));
    const same = Math.max(
      distance(await exact.v.data(), await plain.v.data()),
      distance(await exact.logdet.data(), await plain.logdet.data()),
    );
    this.#record('output of jvp', same, this.#tolerances.roundTrip);
    let errors: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (const h of this.#tolerances.steps) {
      const [after, before] = [this.#applyMoved(all, h), this.#applyMoved(all, -h)];
      const error = (k: 0 | 1, exact: Numbers) =>
        distance(
          exact,
          Float64Array.from(after[k], (v, i) => (v - before[k][i]!) / (2 * h)),
        );
      errors = [Math.min(errors[0], error(0, dv)), Math.min(errors[1], error(1, dlogdet))];
    }
    const tolerance = this.#tolerances.derivative;
    this.#record('tangent against central differences', errors[0], tolerance);
    this.#record('tangent of the log-determinant', errors[1], tolerance);

    const w = made.own(this.#random.normal(exact.dv.shape));
    const wl = made.own(this.#random.normal(exact.dlogdet.shape));
    zeroGrad(this.#f.parameters);
    const back = made.own(this.#map.back(plain.v, w, { dlogdet: wl, context: this.#context }));
    const left = dot(dv, await w.data()) + dot(dlogdet, await wl.data());
    let right = dot(await x.data(), await back.du.data());
    let size = norm(dv) * norm(await w.data()) + norm(dlogdet) * norm(await wl.data());
    if (context && back.dcontext) right += dot(await context.data(), await back.dcontext.data());
    for (const [p, direction] of parameters) {
      if (p.grad) right += dot(await direction.data(), await p.grad.data());
    }
    size = Math.max(size, Math.abs(right));
    this.#record('⟨Jv, w⟩ = ⟨v, Jᵀw⟩', Math.abs(left - right) / size, this.#tolerances.adjoint);
  }

  async #frozen(): Promise<void> {
    using made = new Made();
    const frozen = this.#f.parameters.map((p) => p.frozen);
    zeroGrad(this.#f.parameters);
    for (const p of this.#f.parameters) p.frozen = true;
    made.own(await this.#backward(this.#drawLoss()));
    const gathered = this.#f.parameters.filter((p) => p.grad).length;
    this.#f.parameters.forEach((p, i) => {
      p.frozen = frozen[i]!;
    });
    this.#record('frozen parameters that gathered a gradient', gathered, 0);
  }

  /** Bytes that a method leaves beyond what it returns; and whether it disposed its arguments. */
  async #memory(): Promise<void> {
    const map = this.#map;
    const context = this.#context;
    using made = new Made();
    const tangent = made.own(this.#drawTangent());
    const { v, logdet } = made.own(map.apply(this.#u, context));
    const dlogdet = made.own(this.#random.normal(logdet.shape));
    made.own(map.back(v, v, { dlogdet, context }));
    const given = [this.#u, v, dlogdet, tangent.x, ...(context ? [context] : [])];
    const calls: [string, () => object][] = [
      ['apply', () => map.apply(this.#u, context)],
      ['backward', () => map.back(v, v, { dlogdet, context })],
      ['jvp', () => map.jvp(this.#u, tangent, context)],
    ];
    for (const [name, call] of calls) {
      const before = memory();
      disposeTensors(call());
      const after = memory();
      const left =
        Math.abs(after.liveBytes - before.liveBytes) + Math.abs(after.tensors - before.tensors);
      const lost = given.filter((t) => t.disposed).length;
      this.#record(`memory left by ${name}`, left + lost, 0);
    }
  }

  async #keeping(): Promise<void> {
    const { error, left } = await compareKeeping(
      this.#f,
      this.#map,
      this.#u,
      this.#context,
      this.#random,
    );
    this.#record('gradients with what a forward keeps', error, this.#tolerances.roundTrip);
    this.#record('memory left by keeping', left, 0);
  }

  #record(name: string, error: number, tolerance: number): void {
    const passed = error <= tolerance;
    this.results.push({ name: `${this.#map.direction}: ${name}`, error, tolerance, passed });
  }

  #drawLoss(): ProbeLoss {
    const [size, samples] = [this.#u.size, this.#u.shape[0]!];
    const draw = (n: number) => this.#random.normalArray(n, 1 / Math.sqrt(n));
    return { a: draw(size), b: draw(size), c: draw(samples), d: draw(samples) };
  }

  async #lossOf(loss: ProbeLoss, u: Tensor, context: Tensor | undefined): Promise<number> {
    using made = new Made();
    const { v, logdet } = made.own(this.#map.apply(u, context));
    const [values, logdets] = [await v.data(), await logdet.data()];
    let total = 0;
    values.forEach((x, i) => {
      total += loss.a[i]! * x + 0.5 * loss.b[i]! * x * x;
    });
    logdets.forEach((l, i) => {
      total += loss.c[i]! * l + 0.5 * loss.d[i]! * l * l;
    });
    return total;
  }

  async #backward(loss: ProbeLoss): Promise<{ du: Tensor; dcontext: Tensor | undefined }> {
    using made = new Made();
    const { v, logdet } = made.own(this.#map.apply(this.#u, this.#context));
    const gradient = (values: Numbers, linear: Float64Array, quadratic: Float64Array) =>
      Float64Array.from(values, (x, i) => linear[i]! + quadratic[i]! * x);
    const dv = made.own(this.#like(gradient(await v.data(), loss.a, loss.b), v));
    const dlogdet = made.own(this.#like(gradient(await logdet.data(), loss.c, loss.d), logdet));
    const { u, du, dcontext } = this.#map.back(v, dv, { dlogdet, context: this.#context });
    made.own(u);
    return { du, dcontext };
  }

  /** Compares a gradient with differences of the loss; `place` puts a moved tensor to use. */
  async #compareGradient(
    name: string,
    at: Tensor,
    gradient: Numbers,
    loss: ProbeLoss,
    place: (moved: Tensor) => { u?: Tensor; context?: Tensor },
  ): Promise<void> {
    const start = await at.data();
    const evaluate = async (values: Float64Array) => {
      using moved = this.#like(values, at);
      const { u = this.#u, context = this.#context } = place(moved);
      return this.#lossOf(loss, u, context);
    };
    const directions = checkDirections(at.size, this.#random);
    const found = directions.map((d) => dot(gradient, d));
    const { steps, derivative: tolerance } = this.#tolerances;
    let error = Number.POSITIVE_INFINITY;
    for (const h of steps) {
      const expected: number[] = [];
      for (const d of directions) expected.push(await centralDifference(evaluate, start, d, h));
      error = Math.min(error, distance(found, expected, 1e-2));
      if (error <= tolerance) break;
    }
    using restored = this.#like(start, at);
    place(restored);
    this.#record(name, error, tolerance);
  }

  #drawTangent() {
    const draw = (like: Tensor) => this.#random.normal(like.shape);
    return tidy(() => {
      const x = draw(this.#u);
      const context = this.#context && draw(this.#context);
      const trained = this.#f.parameters.filter((p) => !p.frozen);
      const parameters = new Map<Parameter, Tensor>(trained.map((p) => [p, draw(p.data)]));
      return { x, context, parameters };
    });
  }

  /** Output and log-determinant at the point moved along a tangent. */
  #applyMoved(
    tangent: { x: Tensor; context: Tensor | undefined; parameters: Map<Parameter, Tensor> },
    step: number,
  ): [Numbers, Numbers] {
    const moved = (from: Tensor, direction: Tensor) => {
      const d = direction.dataSync();
      return this.#like(
        Float64Array.from(from.dataSync(), (v, i) => v + step * d[i]!),
        from,
      );
    };
    using made = new Made();
    const saved = [...tangent.parameters].map(([p, d]) => {
      const before = made.own(this.#like(p.data.dataSync(), p.data));
      p.assign(made.own(moved(p.data, d)));
      return { p, before };
    });
    const u = made.own(moved(this.#u, tangent.x));
    const from = this.#context;
    const context = from && tangent.context && made.own(moved(from, tangent.context));
    const { v, logdet } = made.own(this.#map.apply(u, context));
    for (const { p, before } of saved) p.assign(before);
    return [v.dataSync(), logdet.dataSync()];
  }

  #like(values: ArrayLike<number>, like: { shape: Shape; dtype: Tensor['dtype'] }): Tensor {
    const place = { backend: getBackend(), dtype: like.dtype };
    return tensor(Float64Array.from(values), like.shape, place);
  }
}
