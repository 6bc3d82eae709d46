/**
 * A walk along the edges of a graph, in either direction. A state is freed as soon as the next is made, and a
 * feature as soon as its last reader has it, so memory does not grow with the number of nodes. What is carried
 * beside values, gradients or directions, is left to the walks in walks.ts.
 */
import {
  type Bijection,
  type Conditioner,
  type Module,
  type State,
  tensorsOf,
} from '@invnet/layers';
import { concat, split, type Tensor, zerosLike } from '@invnet/tensor';
import type { ConcatNode, FeatureNode, SplitNode } from './nodes.ts';
import type { Edge, Step, Wiring } from './wiring.ts';

/** What an edge carries. */
export interface Carried {
  readonly value: Tensor;
  /** Its gradient, or the direction in which it moves; zero where it is left out. */
  readonly along?: Tensor | undefined;
}

/** Where a walk goes. */
export interface Route {
  readonly wiring: Wiring;
  /** By the names of nodes. */
  readonly modules: Readonly<Record<string, Module>>;
  /** From the outputs to the inputs? */
  readonly reversed: boolean;
  /** What the ends that it starts from carry, and the conditions. */
  readonly start: ReadonlyMap<Edge, Carried>;
  /** Tensors that are the caller's. */
  readonly given: ReadonlySet<Tensor>;
  /** Are the values on the way kept, as results? Default: false. */
  readonly keep?: boolean;
}

/** What a bijection is given. */
export interface Passing {
  readonly state: State;
  readonly along: State | undefined;
  readonly context: Carried | undefined;
  readonly step: Step;
}

/** What it makes of that. */
export interface Passed {
  readonly state: State;
  readonly along?: State;
}

/** A walk from the ends where it starts to the others. */
export abstract class Walk {
  protected readonly route: Route;
  protected readonly values: Map<Edge, Carried>;
  /** How often each condition and feature is still to be read. */
  readonly #readings = new Map<Edge, number>();

  constructor(route: Route) {
    this.route = route;
    this.values = new Map(route.start);
    const { steps, features } = route.wiring;
    const read = [
      ...steps.flatMap(({ conditions }) => conditions),
      ...[...features.values()].flatMap(({ inputs, conditions }) => [...inputs, ...conditions]),
    ];
    for (const edge of read) this.#readings.set(edge, (this.#readings.get(edge) ?? 0) + 1);
  }

  /** Goes all the way. What the edges carry then: the ends, and all that is kept. */
  run(): ReadonlyMap<Edge, Carried> {
    const { wiring, reversed } = this.route;
    for (const step of reversed ? wiring.steps.toReversed() : wiring.steps) {
      const [from, to] = reversed ? [step.outputs, step.inputs] : [step.inputs, step.outputs];
      const read = from.map((edge) => this.values.get(edge)!);
      const made =
        step.node.kind === 'module' ? this.#moved(step, read) : this.#arranged(step, read);
      for (const edge of from) this.drop(edge);
      to.forEach((edge, i) => {
        this.values.set(edge, made[i]!);
      });
    }
    return this.values;
  }

  /** A bijection, one way or the other. */
  protected abstract pass(f: Bijection<State>, passing: Passing): Passed;

  /** A feature, of what its block reads. */
  protected abstract evaluate(
    g: Conditioner,
    step: Step<FeatureNode>,
    x: Carried,
    context: Carried | undefined,
  ): Carried;

  /** What is done when a condition or a feature was read for the last time. */
  protected lastRead(edge: Edge): void {
    this.drop(edge);
  }

  /** What a condition carries, of the kind that is joined; a feature is made when it is first asked for. */
  protected conditionAt(edge: Edge): Carried {
    const known = this.values.get(edge);
    if (known) return known;
    const step = this.route.wiring.features.get(edge)!;
    const [x, context] = [this.joined(step.inputs)!, this.joined(step.conditions)];
    const made = this.evaluate(this.blockOf(step), step, x, context);
    this.values.set(edge, made);
    return made;
  }

  /** Conditions as one, along the channels; none of none. */
  protected joined(edges: readonly Edge[]): Carried | undefined {
    const parts = edges.map((edge) => this.conditionAt(edge));
    return parts.length < 2 ? parts[0] : concatenated(parts, 1);
  }

  /** Notes that conditions, joined as `context`, have been read. */
  protected haveRead(edges: readonly Edge[], context: Carried | undefined): void {
    if (context && edges.length > 1) this.free(context);
    for (const edge of edges) {
      if (edge.isState) continue;
      const left = this.#readings.get(edge)! - 1;
      this.#readings.set(edge, left);
      if (left === 0) this.lastRead(edge);
    }
  }

  protected blockOf({ node }: Step<FeatureNode>): Conditioner {
    return this.route.modules[node.name] as Conditioner;
  }

  /** Frees what an edge carries, which is read no more. */
  protected drop(edge: Edge): void {
    if (this.route.keep) return;
    this.free(this.values.get(edge)!);
    this.values.delete(edge);
  }

  /** Frees what is not the caller's. */
  protected free({ value, along }: Carried): void {
    for (const t of [value, along]) if (t && !this.route.given.has(t)) t.dispose();
  }

  /** The sizes of edges along an axis, the batch counted. */
  protected sizesOf(edges: readonly Edge[], axis: number): readonly number[] {
    return edges.map((edge) => this.route.wiring.shapes.get(edge)![axis - 1]!);
  }

  #moved(step: Step, read: readonly Carried[]): readonly Carried[] {
    const f = this.route.modules[step.node.name] as Bijection<State>;
    const context = this.joined(step.conditions);
    const moving = read.some(({ along }) => along);
    const passed = this.pass(f, {
      state: stateOf(read.map(({ value }) => value)),
      along: moving ? stateOf(read.map(alongOf)) : undefined,
      context,
      step,
    });
    this.haveRead(step.conditions, context);
    const along = passed.along && tensorsOf(passed.along);
    return tensorsOf(passed.state).map((value, i) => ({ value, along: along?.[i] }));
  }

  /** Parts a state, or joins several; gradients and directions go the same way. */
  #arranged(step: Step, read: readonly Carried[]): readonly Carried[] {
    const { reversed } = this.route;
    const { kind, axis = 1 } = step.node as SplitNode | ConcatNode;
    if ((kind === 'concat') !== reversed) return [concatenated(read, axis)];
    const sizes = this.sizesOf(reversed ? step.inputs : step.outputs, axis);
    const { value, along } = read[0]!;
    const directions = along && split(along, axis, sizes);
    return split(value, axis, sizes).map((part, i) => ({ value: part, along: directions?.[i] }));
  }
}

function concatenated(parts: readonly Carried[], axis: number): Carried {
  const value = concat(
    parts.map((part) => part.value),
    axis,
  );
  if (!parts.some(({ along }) => along)) return { value };
  return { value, along: concat(parts.map(alongOf), axis) };
}

function alongOf({ value, along }: Carried): Tensor {
  return along ?? zerosLike(value);
}

function stateOf([first, second]: readonly Tensor[]): State {
  return second ? [first!, second] : first!;
}
