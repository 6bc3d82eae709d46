/** What a graph computes at its ends, one way or the other: a walk from what is there to results of their own. */
import type { Module, Parameter } from '@invnet/layers';
import { clone, type Tensor, zeros, zerosLike } from '@invnet/tensor';
import { type LogdetGradients, LogdetSums } from './logdets.ts';
import type { EndTensors } from './records.ts';
import type { Carried, Route } from './walk.ts';
import { GradientWalk, TangentWalk, ValueWalk } from './walks.ts';
import type { Edge, End, Wiring } from './wiring.ts';

/** A graph with the modules that it has now. */
export interface Graph {
  readonly wiring: Wiring;
  readonly modules: Readonly<Record<string, Module>>;
}

/** From the inputs to the outputs, or back. */
export type Way = 'forward' | 'inverse';

/** What there is at the beginning. */
export interface Start {
  /** At the inputs, or at the outputs for the way back. */
  readonly states: EndTensors;
  /** Gradients or directions of these; those that are missing are zero. */
  readonly alongs: EndTensors;
  readonly conditions: EndTensors;
  /** Directions of the conditions, likewise. */
  readonly moved: EndTensors;
  /** Tensors of the caller's, which stay as they are. */
  readonly given: ReadonlySet<Tensor>;
}

/** The ends that a way comes from, and those that it leads to. */
export function endsOf(
  { inputs, outputs }: Wiring,
  way: Way,
): { readonly from: readonly End[]; readonly to: readonly End[] } {
  return way === 'forward' ? { from: inputs, to: outputs } : { from: outputs, to: inputs };
}

/** States and log-determinants: of the whole, and of each end that the way leads to. */
export function valuesOf(graph: Graph, way: Way, start: Start) {
  const { to } = endsOf(graph.wiring, way);
  const sums = new LogdetSums(to.map(({ steps }) => steps));
  const values = new ValueWalk(routeOf(graph, way, start), sums).run();
  return { states: found(to, values, start, itself), ...logdetsOf(to, sums, start) };
}

/** All states and features on the way forward, and the log-determinant of each module, by name. */
export function valuesWithin(graph: Graph, start: Start) {
  const steps = graph.wiring.steps.filter(({ node }) => node.kind === 'module');
  const sums = new LogdetSums(steps.map((step) => new Set([step])));
  const route = { ...routeOf(graph, 'forward', start), keep: true };
  const made = [...new ValueWalk(route, sums).run()].filter(
    ([{ from }]) => from.kind !== 'input' && from.kind !== 'condition',
  );
  return {
    values: Object.fromEntries(made.map(([{ name }, { value }]) => [name, value])),
    logdets: Object.fromEntries(steps.map(({ node }, i) => [node.name, sums.parts[i]!])),
  };
}

/** States recomputed, with the gradients of states and conditions. */
export function gradientsOf(graph: Graph, way: Way, start: Start, dlogdets: LogdetGradients) {
  const { to } = endsOf(graph.wiring, way);
  const values = new GradientWalk(routeOf(graph, way, start), dlogdets).run();
  return {
    states: found(to, values, start, itself),
    gradients: found(to, values, start, alongOf),
    dconditions: found(graph.wiring.conditions, values, start, alongOf),
  };
}

/** States and log-determinants, with their derivatives along a direction. */
export function tangentsOf(
  graph: Graph,
  way: Way,
  start: Start,
  parameters: ReadonlyMap<Parameter, Tensor> | undefined,
) {
  const { to } = endsOf(graph.wiring, way);
  const parts = to.map(({ steps }) => steps);
  const sums = { logdet: new LogdetSums(parts), dlogdet: new LogdetSums(parts) };
  const values = new TangentWalk(routeOf(graph, way, start), parameters, sums).run();
  const { logdet: dlogdet, logdets: dlogdets } = logdetsOf(to, sums.dlogdet, start);
  return {
    states: found(to, values, start, itself),
    directions: found(to, values, start, alongOf),
    ...logdetsOf(to, sums.logdet, start),
    dlogdet,
    dlogdets,
  };
}

function routeOf({ wiring, modules }: Graph, way: Way, start: Start): Route {
  const { states, alongs, conditions, moved, given } = start;
  const along = new Map([...alongs, ...moved]);
  const carried = [...states, ...conditions].map(
    ([end, value]) => [end.edge, { value, along: along.get(end) }] as const,
  );
  return { wiring, modules, reversed: way === 'inverse', start: new Map(carried), given };
}

/** What ends carry in the end, none of it the caller's. */
function found(
  ends: readonly End[],
  values: ReadonlyMap<Edge, Carried>,
  { given }: Start,
  of: (carried: Carried) => Tensor,
): EndTensors {
  return ends.map((end) => {
    const t = of(values.get(end.edge)!);
    return [end, given.has(t) ? clone(t) : t];
  });
}

function itself({ value }: Carried): Tensor {
  return value;
}

function alongOf({ value, along }: Carried): Tensor {
  return along ?? zerosLike(value);
}

function logdetsOf(ends: readonly End[], { total, parts }: LogdetSums, { states }: Start) {
  const [, x] = states[0]!;
  const none = () => zeros([x.shape[0]!], x);
  const logdet = total ?? none();
  const logdets: EndTensors = ends.map((end, i) => [end, parts[i] ?? none()]);
  return { logdet, logdets };
}
