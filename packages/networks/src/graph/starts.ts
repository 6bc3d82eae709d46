/** What a walk starts from, of what the methods of a graph are given. */
import { formatShape, requireTensor, ShapeError, type Tensor, ValueError } from '@invnet/tensor';
import { endsOf, type Start, type Way } from './evaluation.ts';
import {
  type EndTensors,
  repeated,
  requirePacked,
  type Tensors,
  tensorsAt,
  unpacked,
} from './records.ts';
import type { Step, Wiring } from './wiring.ts';

/** Records as a method was given them. */
export interface Records {
  readonly states: Tensors;
  /** Gradients or directions of the states, some of which may be left out. */
  readonly alongs?: Tensors | undefined;
  readonly conditions?: Tensors | undefined;
  /** Directions of the conditions. */
  readonly moved?: Tensors | undefined;
}

/** What records hold. @throws ValueError, ShapeError unless it is what the graph takes. */
export function startOfRecords(op: string, wiring: Wiring, way: Way, records: Records): Start {
  const { states, alongs = {}, conditions = {}, moved = {} } = records;
  const { from } = endsOf(wiring, way);
  const held = tensorsAt(from, states, { op, what: way === 'forward' ? 'inputs' : 'outputs' });
  const samples = samplesOf(held);
  const all = { op, samples, shared: true };
  const forEach = (tensors: EndTensors) =>
    tensors.map(([end, t]) => [end, repeated(t, samples)] as const);
  const check = { op, samples, partial: true };
  const directions = { ...check, shared: true, what: 'directions of conditions' };
  return {
    states: held,
    alongs: tensorsAt(from, alongs, { ...check, what: 'gradients or directions' }),
    conditions: forEach(tensorsAt(wiring.conditions, conditions, { ...all, what: 'conditions' })),
    moved: forEach(tensorsAt(wiring.conditions, moved, directions)),
    given: new Set([states, alongs, conditions, moved].flatMap((r) => Object.values(r))),
  };
}

/** Gradients with respect to log-determinants, for the steps that each is of. @throws ValueError, ShapeError */
export function perSampleAt(
  op: string,
  states: EndTensors,
  { dlogdet, dlogdets }: { readonly dlogdet: Tensor | undefined; readonly dlogdets: Tensors },
): (readonly [ReadonlySet<Step>, Tensor])[] {
  const samples = samplesOf(states);
  if (dlogdet !== undefined) {
    const { shape } = requireTensor(op, dlogdet, 'dlogdet');
    if (shape.length !== 1 || shape[0] !== samples) {
      throw new ShapeError(
        `${op}: dlogdet is ${formatShape(shape)}; expected ${formatShape([samples])}.`,
      );
    }
  }
  const ends = states.map(([end]) => ({ ...end, shape: [] }));
  const check = { op, what: 'dlogdets', samples, partial: true };
  return tensorsAt(ends, dlogdets, check).map(([{ steps }, t]) => [steps, t]);
}

/** What single tensors hold, whose shapes fit each other. Within a network a context may be for other layers. */
export function startOfPacked(
  wiring: Wiring,
  way: Way,
  state: Tensor,
  beside: {
    readonly along?: Tensor | undefined;
    readonly context: Tensor | undefined;
    readonly moved?: Tensor | undefined;
  },
): Start {
  const { along, context, moved } = beside;
  const { from } = endsOf(wiring, way);
  const { conditions } = wiring;
  const used = conditions.length > 0;
  if (used && !context) {
    const names = conditions.map(({ name }) => `'${name}'`).join(', ');
    throw new ValueError(`GraphNetwork: expected a context that holds ${names}, got none.`);
  }
  if (used && context) requirePacked('GraphNetwork: the context', conditions, context.shape);
  return {
    states: unpacked(from, state),
    alongs: along ? unpacked(from, along) : [],
    conditions: used && context ? unpacked(conditions, context) : [],
    moved: used && moved ? unpacked(conditions, moved) : [],
    given: new Set([state, along, context, moved].filter((t) => t !== undefined)),
  };
}

function samplesOf(states: EndTensors): number {
  return states[0]![1].shape[0]!;
}
