/** The shapes that nodes give, which says whether what they read fits them. Nothing is computed for it. */
import type { Bijection, Pair } from '@invnet/layers';
import {
  formatShape,
  InvNetError,
  requireWhole,
  type Shape,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import { type ConcatNode, type GraphNode, labelOf, type SplitNode } from './nodes.ts';

/** What is known of what a node reads: shapes of a sample. */
export interface ShapesRead {
  readonly inputs: readonly Shape[];
  readonly conditions: readonly Shape[];
}

/** The shapes of a sample of what a node gives. @throws ShapeError, ValueError that names the node */
export function shapesGivenBy(node: GraphNode, read: ShapesRead): readonly Shape[] {
  const label = labelOf(node);
  const { kind } = node;
  if (kind === 'input' || kind === 'condition') return [node.shape];
  if (kind === 'split' || kind === 'output') requireCount(label, read.inputs, 1, kind);
  if (kind === 'output') return [];
  if (kind === 'split') return partShapes(label, node, read.inputs[0]!);
  if (kind === 'concat') return [joinedShape(label, read.inputs, axisOf(label, node, read))];
  if (read.conditions.length > 0) requireContext(label, node, read.conditions);
  if (kind === 'module') {
    requireCount(label, read.inputs, node.module.stateSize, node.module.type);
    const inputs = read.inputs.map((shape) => [1, ...shape]);
    return named(label, () => moduleShapes(node.module, inputs)).map((shape) => shape.slice(1));
  }
  const joined = joinedShape(label, read.inputs, 1);
  const given = named(label, () => node.module.outputShape([1, ...joined]));
  if (given) return [given.slice(1)];
  throw new ValueError(
    `${label}: ${node.module.type} does not say which shape it gives; expected a block that does, ` +
      'such as a WithContext with contextChannels, or a CustomBlock with an outputShape.',
  );
}

/** The axis along which a node parts or joins, the batch counted. */
export function axisOf(label: string, node: SplitNode | ConcatNode, read: ShapesRead): number {
  const { axis = 1 } = node;
  requireWhole(label, 'axis', axis, 1, read.inputs[0]?.length ?? 1);
  return axis;
}

/** The shapes that a module makes of those of one state or two, batch first. */
export function moduleShapes(
  module: Bijection | Bijection<Pair>,
  [first, second]: readonly Shape[],
): readonly Shape[] {
  return second
    ? (module as Bijection<Pair>).outputShape([first!, second])
    : [(module as Bijection).outputShape(first!)];
}

function partShapes(label: string, node: SplitNode, shape: Shape): readonly Shape[] {
  const axis = axisOf(label, node, { inputs: [shape], conditions: [] });
  const total = node.sizes.reduce((a, b) => a + b, 0);
  if (total === shape[axis - 1]) return node.sizes.map((size) => shape.with(axis - 1, size));
  throw new ShapeError(
    `${label}: sizes [${node.sizes.join(', ')}] add up to ${total}; expected ${shape[axis - 1]}, the ` +
      `size of axis ${axis} of ${formatShape(shape)} per sample.`,
  );
}

/** The shape of what is joined along an axis. */
function joinedShape(label: string, shapes: readonly Shape[], axis: number): Shape {
  const [first] = shapes;
  if (!first) throw new ValueError(`${label}: it reads nothing; expected at least one input.`);
  for (const shape of shapes) {
    if (shape.length === first.length && shape.every((s, i) => i === axis - 1 || s === first[i])) {
      continue;
    }
    throw new ShapeError(
      `${label}: got ${formatShape(first)} and ${formatShape(shape)} per sample, to be joined along axis ` +
        `${axis}; expected one size along all others.`,
    );
  }
  const total = shapes.reduce((sum, shape) => sum + shape[axis - 1]!, 0);
  return first.with(axis - 1, total);
}

function requireContext(
  label: string,
  node: GraphNode & { readonly module: { readonly type: string; readonly usesContext: boolean } },
  conditions: readonly Shape[],
): void {
  joinedShape(label, conditions, 1);
  if (node.module.usesContext) return;
  throw new ValueError(
    `${label}: it has conditions, but its ${node.module.type} uses no context; expected none, or a ` +
      'conditional module.',
  );
}

function requireCount(label: string, inputs: readonly Shape[], count: number, what: string): void {
  if (inputs.length === count) return;
  throw new ValueError(
    `${label}: ${inputs.length} inputs for ${what}, which takes ${count}; expected one for each.`,
  );
}

/** What `ask` gives; an error of a module is said to be of the node. */
function named<T>(label: string, ask: () => T): T {
  try {
    return ask();
  } catch (error) {
    if (error instanceof InvNetError) error.message = `${label}: ${error.message}`;
    throw error;
  }
}
