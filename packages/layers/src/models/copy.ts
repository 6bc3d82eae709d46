/** Copies of a network, and copies with another part. */
import { assign, RandomStream, requireFunction, type Tensor, ValueError } from '@invnet/tensor';
import { Counter, Flag, TensorBuffer } from '../tree/buffer.ts';
import { Construction } from '../tree/construction.ts';
import {
  borrow,
  construct,
  isModuleType,
  Module,
  namedBuffers,
  namedParameters,
  placesIn,
  requireModule,
} from '../tree/module.ts';
import { partsReplacedIn, setPart } from './parts.ts';

/**
 * A network of the same structure with the same numbers, in memory of its own. Functions, and custom
 * blocks with their parameters, are shared with the original.
 */
export function copyModule<M extends Module>(module: M): M {
  return copyModuleBy(module, assign);
}

/**
 * As `copyModule`, for a copy on the current backend whose numbers come over in a way of one's own: `copy` gets a
 * tensor of the copy, and the one that it stands for.
 *
 * @example withBackend(other, () => copyModuleBy(network, (to, from) => assign(to, tensor(numbers.get(from)!, from.shape))));
 */
export function copyModuleBy<M extends Module>(
  module: M,
  copy: (to: Tensor, from: Tensor) => void,
): M {
  requireFunction('copyModuleBy', 'copy', copy);
  return copyWith(module, (made) => copyNumbers(module, made, copy));
}

/**
 * A copy of a network in which `part` stands at `path`, such as another conditioner; the rest has
 * the same numbers. The copy owns its parameters, those of `part` among them.
 *
 * @throws ValueError for a path that is none, or of a part of another kind.
 * @example
 * const wider = replacePart(glow, 'scales.0.steps.3.coupling.conditioner',
 *   new ResNet({ inChannels: 2, hidden: 64, outChannels: 4 }));
 */
export function replacePart<M extends Module>(network: M, path: string, part: Module): M {
  return copyWith(network, (copy) => {
    copyNumbers(network, copy, assign);
    setPart(copy, path, part);
  });
}

function copyWith<M extends Module>(module: M, finish: (copy: M) => void): M {
  requireModule('copyModule', module);
  using building = new Construction();
  const copy = structureOf(module, new Map());
  finish(copy);
  building.complete();
  return copy;
}

function structureOf<M extends Module>(module: M, copies: Map<Module, Module>): M {
  const before = copies.get(module);
  if (before) return before as M;
  const kind = module.constructor;
  if (!isModuleType(kind)) {
    throw new ValueError(
      `${module.type}: a class of modules needs a name of its own to be copied; expected ` +
        "static type = 'MyLayer'.",
    );
  }
  const options = copyOption(module.options, copies) as object;
  // Weights are copied afterwards, so it does not matter what is drawn.
  const copy = construct(kind, { ...options, random: new RandomStream(0) }) as M;
  copies.set(module, copy);
  for (const [path, part] of partsReplacedIn(module)) {
    setPart(copy, path, structureOf(part, copies));
  }
  return copy;
}

function copyOption(value: unknown, copies: Map<Module, Module>): unknown {
  if (value instanceof Module) return structureOf(value, copies);
  if (Array.isArray(value)) return value.map((v) => copyOption(v, copies));
  const plain =
    typeof value === 'object' &&
    value !== null &&
    Object.getPrototypeOf(value) === Object.prototype &&
    !Object.values(value).some((v) => typeof v === 'function');
  if (!plain) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, copyOption(v, copies)]));
}

function copyNumbers(from: Module, to: Module, copy: (to: Tensor, from: Tensor) => void): void {
  const parameters = namedParameters(to);
  for (const [path, p] of namedParameters(from)) {
    const q = parameters.get(path)!;
    if (q.identity === p.identity) borrow(to, q);
    else {
      copy(q.data, p.data);
      q.changed();
    }
    q.frozen = p.frozen;
  }
  const buffers = namedBuffers(to);
  for (const [path, b] of namedBuffers(from)) {
    const c = buffers.get(path);
    if (b instanceof Flag && c instanceof Flag) c.value = b.value;
    if (b instanceof Counter && c instanceof Counter) c.value = b.value;
    if (b instanceof TensorBuffer && c instanceof TensorBuffer) copy(c.data, b.data);
  }
  const places = [...placesIn(to)];
  [...placesIn(from)].forEach(({ module }, i) => {
    Module.setMode(places[i]!.module, module.training);
  });
}
