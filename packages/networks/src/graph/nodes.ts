/**
 * The nodes of a graph as plain data, as they stand in the options of a `GraphNetwork` and in files, and
 * what can be said of one alone. How they are joined is said in wiring.ts.
 */
import { Bijection, Conditioner, type Pair, requireName } from '@invnet/layers';
import {
  checkShape,
  formatValue,
  requireList,
  requireOneOf,
  requireOptions,
  requireRecord,
  requireWhole,
  type Shape,
  ValueError,
} from '@invnet/tensor';

/**
 * A node. What it reads are names: that of a node which gives one tensor, or `halve.0`, `halve.1`, … of one
 * that gives several. Shapes are those of a sample, without the batch; axes count it, so 1 is that of the channels.
 */
export type GraphNode =
  | InputNode
  | ConditionNode
  | ModuleNode
  | FeatureNode
  | SplitNode
  | ConcatNode
  | OutputNode;

/** A state that comes from outside. */
export interface InputNode {
  readonly kind: 'input';
  readonly name: string;
  readonly shape: Shape;
}

/** A condition that comes from outside. */
export interface ConditionNode {
  readonly kind: 'condition';
  readonly name: string;
  readonly shape: Shape;
}

/** An invertible map of one state, or of two. */
export interface ModuleNode {
  readonly kind: 'module';
  readonly name: string;
  readonly inputs: readonly string[];
  /** States, conditions or features; several are joined along the channels, to one context. */
  readonly conditions?: readonly string[] | undefined;
  readonly module: Bijection | Bijection<Pair>;
}

/** A block of conditions, features or states, joined along the channels, whose result is a feature. */
export interface FeatureNode {
  readonly kind: 'feature';
  readonly name: string;
  readonly inputs: readonly string[];
  readonly conditions?: readonly string[] | undefined;
  readonly module: Conditioner;
}

/** A state in parts of these sizes along an axis. */
export interface SplitNode {
  readonly kind: 'split';
  readonly name: string;
  readonly inputs: readonly string[];
  readonly sizes: readonly number[];
  /** Default: 1, the channels. */
  readonly axis?: number | undefined;
}

/** States behind each other along an axis. */
export interface ConcatNode {
  readonly kind: 'concat';
  readonly name: string;
  readonly inputs: readonly string[];
  /** Default: 1, the channels. */
  readonly axis?: number | undefined;
}

/** What the graph gives. */
export interface OutputNode {
  readonly kind: 'output';
  readonly name: string;
  readonly inputs: readonly string[];
}

const fields = {
  input: ['shape'],
  condition: ['shape'],
  module: ['inputs', 'conditions', 'module'],
  feature: ['inputs', 'conditions', 'module'],
  split: ['inputs', 'sizes', 'axis'],
  concat: ['inputs', 'axis'],
  output: ['inputs'],
} as const;

/** How a node is called in messages. */
export function labelOf({ name }: { readonly name: string }): string {
  return `GraphNetwork: node ${formatValue(name)}`;
}

/** A copy of the node. @throws ValueError, ShapeError unless its fields are right, whatever it is joined to. */
export function checkedNode(node: GraphNode): GraphNode {
  requireRecord('GraphNetwork', 'a node', node, '{ kind, name, … }');
  requireNodeName(node.name);
  const label = labelOf(node);
  const { kind } = node;
  requireOneOf(label, 'kind', kind, Object.keys(fields) as (keyof typeof fields)[]);
  requireOptions(label, node, ['kind', 'name', ...fields[kind]]);
  if (kind === 'input' || kind === 'condition') {
    const shape = checkShape(label, node.shape);
    if (shape.length > 0) return { ...node, shape };
    throw new ValueError(`${label}: the shape is []; expected that of a sample, such as [3].`);
  }
  const inputs = namesIn(label, 'inputs', node.inputs);
  if (kind === 'module' || kind === 'feature') {
    const conditions = namesIn(label, 'conditions', node.conditions ?? []);
    requireBlock(label, node);
    return { ...node, inputs, ...(conditions.length > 0 && { conditions }) };
  }
  if (kind === 'split') {
    requireList(label, 'sizes', node.sizes);
    for (const size of node.sizes) requireWhole(label, 'a size', size, 1);
    if (node.sizes.length < 2) {
      throw new ValueError(`${label}: sizes are [${node.sizes}]; expected at least two parts.`);
    }
    return { ...node, inputs, sizes: [...node.sizes] };
  }
  return { ...node, inputs };
}

/** What the outputs of a node are called: as the node, with a number behind it where there are several. */
export function namesGivenBy(node: GraphNode): readonly string[] {
  const { kind, name } = node;
  if (kind === 'output') return [];
  const count =
    kind === 'split' ? node.sizes.length : kind === 'module' ? node.module.stateSize : 1;
  return count === 1 ? [name] : Array.from({ length: count }, (_, i) => `${name}.${i}`);
}

function requireNodeName(name: string): void {
  requireName('GraphNetwork', name);
  // A record of modules would have such keys in front.
  if (!/^\d+$/.test(name)) return;
  throw new ValueError(
    `GraphNetwork: a node is called '${name}'; expected a name that is no number.`,
  );
}

function namesIn(label: string, what: string, names: readonly string[]): readonly string[] {
  requireList(label, what, names, 'a list of names');
  for (const name of names) {
    if (typeof name === 'string') continue;
    throw new ValueError(`${label}: ${what} has ${formatValue(name)}; expected names of nodes.`);
  }
  return [...names];
}

function requireBlock(label: string, { kind, module }: ModuleNode | FeatureNode): void {
  const right = kind === 'module' ? module instanceof Bijection : module instanceof Conditioner;
  if (right) return;
  const expected = kind === 'module' ? 'a bijection' : 'a conditioner';
  throw new ValueError(`${label}: module is ${formatValue(module)}; expected ${expected}.`);
}
