/**
 * What a graph is once its nodes are joined: steps in an order that serves all walks, forwards and, turned
 * round, backwards; and what is known of each edge. All that can be wrong with a graph is found here.
 */
import { formatValue, requireList, type Shape, ValueError } from '@invnet/tensor';
import {
  type ConcatNode,
  type ConditionNode,
  checkedNode,
  type FeatureNode,
  type GraphNode,
  type InputNode,
  labelOf,
  type ModuleNode,
  namesGivenBy,
  type SplitNode,
} from './nodes.ts';
import { shapesGivenBy } from './shapes.ts';

/** A tensor on its way: what a node gives, known by that node's name, and by a number where it gives several. */
export interface Edge {
  readonly name: string;
  readonly from: GraphNode;
  /** A state is read by one node, which moves it on; conditions and features are read by any number. */
  readonly isState: boolean;
}

/** A node with the edges that it reads and gives. */
export interface Step<N = ModuleNode | SplitNode | ConcatNode> {
  readonly node: N;
  readonly inputs: readonly Edge[];
  readonly conditions: readonly Edge[];
  readonly outputs: readonly Edge[];
}

/** Where tensors enter or leave. */
export interface End {
  readonly name: string;
  readonly edge: Edge;
  /** Of a sample. */
  readonly shape: Shape;
  /** The steps that it is reached by: through which an output comes, or an input on the way back. */
  readonly steps: ReadonlySet<Step>;
}

/** A graph that is right. */
export interface Wiring {
  /** As they were given. */
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly End[];
  readonly conditions: readonly End[];
  readonly outputs: readonly End[];
  /** What states go through, each behind all that it waits for. */
  readonly steps: readonly Step[];
  /** By the edge that they give. */
  readonly features: ReadonlyMap<Edge, Step<FeatureNode>>;
  readonly shapes: ReadonlyMap<Edge, Shape>;
}

type AnyStep = Step<Exclude<GraphNode, InputNode | ConditionNode>>;

/** The nodes, joined. @throws ValueError, ShapeError that names the node where something is wrong. */
export function wired(given: readonly GraphNode[]): Wiring {
  requireList('GraphNetwork', 'nodes', given, 'a list of nodes');
  const nodes = given.map(checkedNode);
  const edges = edgesOf(nodes);
  const all = nodes.map((node) => joined(node, edges));
  const readers = readersOf(all);
  const inner = ordered(all, readers);
  const shapes = new Map<Edge, Shape>();
  for (const step of [...all.filter(isSource), ...inner]) {
    const shapesOf = (read: readonly Edge[]) => read.map((edge) => shapes.get(edge)!);
    const { node, inputs, conditions, outputs } = step;
    const found = shapesGivenBy(node, {
      inputs: shapesOf(inputs),
      conditions: shapesOf(conditions),
    });
    outputs.forEach((edge, i) => {
      shapes.set(edge, found[i]!);
    });
  }
  const steps = inner.filter(movesStates);
  const endsOf = (kind: GraphNode['kind'], reached: (edge: Edge) => ReadonlySet<Step>) =>
    all.flatMap(({ node, inputs, outputs }): End[] => {
      if (node.kind !== kind) return [];
      const edge = kind === 'output' ? inputs[0]! : outputs[0]!;
      return [{ name: node.name, edge, shape: shapes.get(edge)!, steps: reached(edge) }];
    });
  const inputs = endsOf('input', (edge) => reachedFrom(edge, steps, 'inputs', 'outputs'));
  const outputs = endsOf('output', (edge) => reachedFrom(edge, steps, 'outputs', 'inputs'));
  for (const [what, ends] of Object.entries({ inputs, outputs })) {
    if (ends.length > 0) continue;
    throw new ValueError(`GraphNetwork: there are no ${what}; expected at least one.`);
  }
  const features = inner.filter(isFeature).map((step) => [step.outputs[0]!, step] as const);
  return {
    nodes,
    inputs,
    conditions: endsOf('condition', () => new Set()),
    outputs,
    steps,
    features: new Map(features),
    shapes,
  };
}

/** Does the node give what is no state? */
function isSide({ kind }: GraphNode): boolean {
  return kind === 'condition' || kind === 'feature';
}

function isSource(step: Step<GraphNode>): boolean {
  return step.node.kind === 'input' || step.node.kind === 'condition';
}

function isFeature(step: Step<GraphNode>): step is Step<FeatureNode> {
  return step.node.kind === 'feature';
}

function movesStates(step: Step<GraphNode>): step is Step {
  return ['module', 'split', 'concat'].includes(step.node.kind);
}

/** All edges by name. */
function edgesOf(nodes: readonly GraphNode[]): ReadonlyMap<string, Edge> {
  const edges = new Map<string, Edge>();
  const names = new Set<string>();
  for (const node of nodes) {
    if (names.has(node.name)) {
      throw new ValueError(
        `GraphNetwork: two nodes are called '${node.name}'; expected a name of its own for each.`,
      );
    }
    names.add(node.name);
    for (const name of namesGivenBy(node)) {
      edges.set(name, { name, from: node, isState: !isSide(node) });
    }
  }
  return edges;
}

/** The node with its edges. @throws ValueError for a name that nothing has, or an input that is no state. */
function joined(node: GraphNode, edges: ReadonlyMap<string, Edge>): Step<GraphNode> {
  const label = labelOf(node);
  const find = (name: string) => {
    const edge = edges.get(name);
    if (edge) return edge;
    throw new ValueError(
      `${label} reads '${name}', which no node gives; expected one of ` +
        `${[...edges.keys()].map((n) => formatValue(n)).join(', ')}.`,
    );
  };
  const inputs = 'inputs' in node ? node.inputs.map(find) : [];
  const conditions = 'conditions' in node ? (node.conditions ?? []).map(find) : [];
  const outputs = namesGivenBy(node).map(find);
  const side = node.kind === 'feature' ? undefined : inputs.find(({ isState }) => !isState);
  if (!side) return { node, inputs, conditions, outputs };
  throw new ValueError(
    `${label} takes '${side.name}' as an input, which is a ${side.from.kind}; expected a state, or ` +
      `conditions: ['${side.name}'].`,
  );
}

/**
 * The node that moves each state on.
 *
 * @throws ValueError for a state that no node moves on, or two do; and for a condition that nothing reads.
 */
function readersOf(all: readonly Step<GraphNode>[]): ReadonlyMap<Edge, Step<GraphNode>> {
  const readers = new Map<Edge, Step<GraphNode>>();
  const seen = new Set<Edge>();
  for (const step of all) {
    for (const edge of [...step.inputs, ...step.conditions]) seen.add(edge);
    if (isFeature(step)) continue;
    for (const edge of step.inputs) {
      const other = readers.get(edge);
      if (other) {
        const both =
          other === step
            ? `'${other.node.name}' twice`
            : `'${other.node.name}' and '${step.node.name}'`;
        throw new ValueError(
          `${labelOf(edge.from)}: its output '${edge.name}' goes to ${both}, which would be two inputs to ` +
            'one port on the way back; expected one reader, such as a split, and conditions for others.',
        );
      }
      readers.set(edge, step);
    }
  }
  for (const { node, outputs } of all) {
    for (const edge of outputs) {
      if (edge.isState ? readers.has(edge) : seen.has(edge)) continue;
      throw new ValueError(
        `${labelOf(node)}: its output '${edge.name}' is not used; expected ` +
          `${edge.isState ? 'a node that takes it as an input, or an output' : 'a node that has it as a condition'}.`,
      );
    }
  }
  return readers;
}

/**
 * All but the sources, each behind those that give what it reads. Who moves a state on also waits for all that
 * have this state as a condition: so they find it in both directions.
 *
 * @throws ValueError for a cycle.
 */
function ordered(
  all: readonly Step<GraphNode>[],
  readers: ReadonlyMap<Edge, Step<GraphNode>>,
): readonly AnyStep[] {
  const inner = all.filter((step): step is AnyStep => !isSource(step));
  const givers = new Map(
    inner.flatMap((step) => step.outputs.map((edge) => [edge, step] as const)),
  );
  const waits = new Map(inner.map((step) => [step as Step<GraphNode>, new Set<AnyStep>()]));
  for (const step of inner) {
    for (const edge of [...step.inputs, ...step.conditions]) {
      const giver = givers.get(edge);
      if (giver) waits.get(step)!.add(giver);
    }
    if (isFeature(step)) continue;
    for (const state of statesBehind(step.conditions, givers)) {
      waits.get(readers.get(state)!)!.add(step);
    }
  }
  const left = new Set(inner);
  const order: AnyStep[] = [];
  while (left.size > 0) {
    const next = [...left].find((step) => ![...waits.get(step)!].some((other) => left.has(other)));
    if (!next) throw cycleError(left, waits);
    left.delete(next);
    order.push(next);
  }
  return order;
}

/** The states among conditions, and those that features of them are made from. */
function statesBehind(
  conditions: readonly Edge[],
  givers: ReadonlyMap<Edge, AnyStep>,
): ReadonlySet<Edge> {
  const found = new Set<Edge>();
  const seen = new Set<Edge>();
  const visit = (edge: Edge) => {
    if (seen.has(edge)) return;
    seen.add(edge);
    if (edge.isState) found.add(edge);
    const giver = edge.isState ? undefined : givers.get(edge);
    giver?.inputs.forEach(visit);
    giver?.conditions.forEach(visit);
  };
  conditions.forEach(visit);
  return found;
}

function cycleError(
  left: ReadonlySet<AnyStep>,
  waits: ReadonlyMap<Step<GraphNode>, ReadonlySet<AnyStep>>,
): ValueError {
  const path: AnyStep[] = [];
  let step = [...left][0]!;
  while (!path.includes(step)) {
    path.unshift(step);
    step = [...waits.get(step)!].find((other) => left.has(other))!;
  }
  const cycle = [step, ...path.slice(0, path.indexOf(step) + 1)];
  const names = cycle.map(({ node }) => `'${node.name}'`).join(' → ');
  return new ValueError(
    `GraphNetwork: the nodes ${names} form a cycle; expected none. What is a condition of a node may not come ` +
      'from it, nor be moved on before it.',
  );
}

/** All steps that lead to an edge: by what they give from what they read, or the other way round. */
function reachedFrom(
  end: Edge,
  steps: readonly Step[],
  given: 'inputs' | 'outputs',
  read: 'inputs' | 'outputs',
): ReadonlySet<Step> {
  const byEdge = new Map(steps.flatMap((step) => step[given].map((edge) => [edge, step] as const)));
  const found = new Set<Step>();
  const open = [end];
  for (let edge = open.pop(); edge; edge = open.pop()) {
    const step = byEdge.get(edge);
    if (!step || found.has(step)) continue;
    found.add(step);
    open.push(...step[read]);
  }
  return found;
}
