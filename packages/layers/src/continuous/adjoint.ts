/**
 * Derivatives of what a solver gives, by equations that are solved along with it: the adjoint one back, that of variations
 * forth (Chen et al., "Neural ordinary differential equations", 2018). Mathematics: docs/math/continuous/continuous-flow.md
 */
import {
  accumulate,
  add,
  mul,
  neg,
  sumPerSample,
  type Tensor,
  tidy,
  zeros,
  zerosLike,
} from '@invnet/tensor';
import { perSample } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import type { Pairing } from '../residual/lipschitz-block.ts';
import type { Parameter } from '../tree/parameter.ts';
import type { Derivative, Span } from './runge-kutta.ts';
import type { SmoothField } from './smooth-field.ts';

/** What is solved, and how. */
export interface Route {
  readonly field: SmoothField;
  readonly context: Tensor | undefined;
  /** Directions of which the divergence is made. */
  readonly probes: () => Iterable<Tensor>;
  readonly solve: (f: Derivative, start: readonly Tensor[], span: Span) => readonly Tensor[];
}

/**
 * From the end y of a solution and the gradients of y and of its log-determinant its start, and the gradient there; adds
 * those of the parameters. `span` leads from y to the start.
 */
export function solvedBack(
  { field, context, probes, solve }: Route,
  y: Tensor,
  dy: Tensor,
  { dlogdet, span }: { readonly dlogdet: Tensor | undefined; readonly span: Span },
): { x: Tensor; dx: Tensor; dcontext?: Tensor } {
  const trained = field.parameters.filter((p) => !p.frozen).map((p) => p.identity);
  const own = context && field.usesContext ? [context] : [];
  /** d(x, a, c̄, θ̄)/dt = (v, −∇ₓ, −∇c, −∇θ) of ⟨a, v⟩ + ℓ̄·div v. */
  const f: Derivative = (t, [x, a]) =>
    tidy(() => {
      const sums = trained.map((p) => zerosLike(p.data));
      const collect = (p: Parameter, g: Tensor) => {
        accumulate(sums[trained.indexOf(p.identity)]!, g);
        g.dispose();
      };
      const at = field.at(t, context, { gradient: true, collect });
      const block = at.block.at(x!);
      const pairs = dlogdet ? pairings(probes(), (p) => neg(mul(p, perSample(dlogdet, p)))) : [];
      const slope = block.gradient(neg(a!), pairs);
      const towards = own.length > 0 ? [at.contextGradient()!] : [];
      return [block.y, slope, ...towards, ...sums];
    });
  const start = [y, dy, ...own.map(zerosLike), ...trained.map((p) => zerosLike(p.data))];
  const [x, dx, ...rest] = solve(f, start, { ...span, chosenBy: 1 });
  const dcontext = own.length > 0 ? rest.shift() : undefined;
  trained.forEach((p, i) => {
    p.takeGrad(rest[i]!);
  });
  return { x: x!, dx: dx!, ...(dcontext && { dcontext }) };
}

/** A solution with its derivative along a direction. */
export function solvedAlong(
  { field, context, probes, solve }: Route,
  x: Tensor,
  { x: dx, parameters, context: dcontext }: Tangent,
  span: Span,
): { y: Tensor; dy: Tensor; logdet: Tensor; dlogdet: Tensor } {
  const side = { parameters, context: field.sideDirection(dcontext) };
  const f: Derivative = (t, [state, , moved]) =>
    tidy(() => {
      const block = field.at(t, context).block.at(state!);
      const push = block.pusher();
      let divergence = zeros([x.shape[0]!], x);
      for (const p of probes()) divergence = add(divergence, sumPerSample(mul(p, push(p))));
      const along = { ...side, x: moved! };
      const turned = block.bendAlong(
        along,
        pairings(probes(), (p) => p),
      );
      return [block.y, divergence, block.tangent(along)!, turned];
    });
  const still = zeros([x.shape[0]!], x);
  const start = [x, still, dx ?? zerosLike(x), zerosLike(still)];
  const [y, logdet, dy, dlogdet] = solve(f, start, { ...span, chosenBy: 2 });
  return { y: y!, dy: dy!, logdet: logdet!, dlogdet: dlogdet! };
}

function* pairings(probes: Iterable<Tensor>, weight: (p: Tensor) => Tensor): Generator<Pairing> {
  for (const v of probes) yield { v, w: weight(v) };
}
