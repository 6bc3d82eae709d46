/**
 * The tree that a network is: every bijection, conditioner, base distribution and flow is a module
 * with a type name, options that it can be built from again, and parts. Paths are found by walking
 * the tree from the module that is asked; no part knows its own.
 *
 * Left out: what a module computes. `Bijection` and `Conditioner` add that.
 */
import { formatValue, requireBoolean, requireList, ValueError } from '@invnet/tensor';
import { ModuleBuffer } from './buffer.ts';
import { Parameter } from './parameter.ts';
import { join, requireName } from './path.ts';

/**
 * What a module is built from: numbers, text, booleans, lists and records of them, other modules,
 * activations, and functions that have a name (see `named`).
 */
export type Options = Readonly<Record<string, unknown>>;

/** A class of modules, as it stands in a catalogue. */
export interface ModuleType {
  /** The name that files know it by; spelled out, for bundlers shorten the names of classes. */
  readonly type: string;
  /** Makes one from the `options` of another; `new` is called where it is left out. */
  build?(options: never): object;
}

/** A module within another. */
export interface Place {
  /** Names joined by dots, from the module that was asked; `''` for itself. */
  readonly path: string;
  readonly module: Module;
  /** What holds it, a module or a list or record in one, and under which key; none for the root. */
  readonly holder: { readonly container: object; readonly key: string } | undefined;
}

/**
 * A node of a network's tree. Its parts are its public fields: modules are its children, named by
 * their field (`conditioner`), with the index or key behind it for lists and records of modules
 * (`steps.3`); parameters and buffers go by names of their own. A field called `inner` adds nothing to
 * the path: a wrapper stands at the place of what it wraps. Private (`#`) fields are no parts.
 *
 * @example
 * class Octave extends Bijection {
 *   static readonly type = 'Octave';
 *   readonly k = new Parameter('k', zeros([1]));
 *   get options() { return {}; }
 *   // apply, invert, …
 * }
 */
export abstract class Module {
  #training = true;
  #parameters: readonly Parameter[] | undefined;

  /** What a module of this kind is built from, so that it becomes what this one is, but for numbers. */
  abstract get options(): Options;

  /** The name of its class in files and messages. */
  get type(): string {
    const made = this.constructor;
    return isModuleType(made) ? made.type : made.name;
  }

  /** All parameters in the tree, each once, named by the paths from this module. */
  get parameters(): readonly Parameter[] {
    // The tree stays as it was built, so one walk is enough.
    if (!this.#parameters) {
      this.#parameters = [...namedParameters(this).values()];
      for (const p of this.#parameters) askedFrom.set(p, this);
    }
    return this.#parameters;
  }

  /**
   * Training or evaluation, of this module and all in it; what differs is up to them, as `BatchNorm`.
   * Default: true.
   */
  get training(): boolean {
    return this.#training;
  }

  set training(on: boolean) {
    requireBoolean(this.type, 'training', on);
    for (const { module } of placesIn(this)) module.#training = on;
  }

  /** As `training`, of a module alone without what is in it: for copies and files. */
  static setMode(module: Module, training: boolean): void {
    requireModule('setMode', module);
    requireBoolean('setMode', 'training', training);
    module.#training = training;
  }

  /** Frees all parameters and buffers in the tree, but for those that a copy shares with its original. */
  dispose(): void {
    const shared = borrowed.get(this);
    for (const p of namedParameters(this).values()) if (!shared?.has(p.identity)) p.dispose();
    for (const b of namedBuffers(this).values()) b.dispose();
  }
}

/** Parameters that are another network's. */
const borrowed = new WeakMap<Module, Set<Parameter>>();

/** Marks a parameter as another network's, which `dispose` of this one leaves alone. */
export function borrow(module: Module, p: Parameter): void {
  borrowed.set(module, (borrowed.get(module) ?? new Set()).add(p.identity));
}

/** The modules whose lists of parameters these are from. */
const askedFrom = new WeakMap<Parameter, Module>();

/** The module whose parameters these are, all of them and no others; none for any other list. */
export function moduleOf(parameters: readonly Parameter[]): Module | undefined {
  requireList('moduleOf', 'parameters', parameters);
  const [first] = parameters;
  const module = first instanceof Parameter ? askedFrom.get(first) : undefined;
  const whole =
    module?.parameters.length === new Set(parameters).size &&
    parameters.every((p) => askedFrom.get(p) === module);
  return whole ? module : undefined;
}

/** The module and all in it, each once, at the first place where it stands. */
export function placesIn(root: Module): Generator<Place> {
  return walk({ path: '', module: requireModule('placesIn', root), holder: undefined }, new Set());
}

/** The module itself. @throws ValueError unless it is one. */
export function requireModule(op: string, module: Module): Module {
  if (module instanceof Module) return module;
  throw new ValueError(
    `${op}: got ${formatValue(module)}; expected a module, such as a network or a flow.`,
  );
}

/** Wherever a module stands in a network: what holds it, and under which key. */
export function holdersOf(root: Module, part: Module): NonNullable<Place['holder']>[] {
  return [...placesIn(root)].flatMap(({ module }) =>
    fieldsOf(module, '').filter(({ value }) => value === part),
  );
}

/** The kind of a module: the class that its class comes from, right behind `Module`. */
export function kindOf(module: Module): object {
  let kind: object = module.constructor;
  for (
    let next = Object.getPrototypeOf(kind);
    next !== Module;
    next = Object.getPrototypeOf(kind)
  ) {
    kind = next;
  }
  return kind;
}

/** All parameters in a module, each once, by path. @throws ValueError when two have one path. */
export function namedParameters(root: Module): Map<string, Parameter> {
  const found = new Map<string, Parameter>();
  const seen = new Set<Parameter>();
  for (const { path, module } of placesIn(root)) {
    for (const p of partsOf(module, Parameter)) {
      if (seen.has(p.identity)) continue;
      seen.add(p.identity);
      // One that is held under a path which it has elsewhere keeps that behind its place.
      const name = p === p.identity ? partAt(root, path, p.name) : join(path, p.name);
      requireFree(root, found, name);
      found.set(name, new Parameter(name, p));
    }
  }
  return found;
}

/** All buffers in a module, each once, by path. @throws ValueError when two have one path. */
export function namedBuffers(root: Module): Map<string, ModuleBuffer> {
  const found = new Map<string, ModuleBuffer>();
  const seen = new Set<ModuleBuffer>();
  for (const { path, module } of placesIn(root)) {
    for (const b of partsOf(module, ModuleBuffer)) {
      if (seen.has(b)) continue;
      seen.add(b);
      const name = partAt(root, path, b.name);
      requireFree(root, found, name);
      found.set(name, b);
    }
  }
  return found;
}

/** Does a class have a type name of its own, which is not that of a class it extends? */
export function isModuleType(value: object): value is ModuleType {
  if (typeof value !== 'function' && (typeof value !== 'object' || value === null)) return false;
  return Object.hasOwn(value, 'type') && 'type' in value && typeof value.type === 'string';
}

/** Is it a class of modules, and not only of something else that files know? */
export function isModuleClass(type: object): boolean {
  return typeof type === 'function' && type.prototype instanceof Module;
}

/** Makes a module, or an activation, from options; by `build` where its type has one of its own. */
export function construct(type: ModuleType, options: Options): object {
  if (type.build && Object.hasOwn(type, 'build')) return type.build(options as never);
  const made = type as unknown as new (options: Options) => object;
  return new made(options);
}

/** The modules directly in a module, which may be `inner` ones or in lists and records. */
export function childrenOf(module: Module): Module[] {
  return fieldsOf(module, '').flatMap(({ value }) => (value instanceof Module ? [value] : []));
}

function* walk(place: Place, seen: Set<Module>): Generator<Place> {
  if (seen.has(place.module)) return;
  seen.add(place.module);
  yield place;
  for (const { value, path, ...holder } of fieldsOf(place.module, place.path)) {
    if (value instanceof Module) yield* walk({ path, module: value, holder }, seen);
  }
}

function partsOf<T>(module: Module, kind: abstract new (...args: never) => T): T[] {
  return fieldsOf(module, '').flatMap(({ value }) => (value instanceof kind ? [value] : []));
}

interface Field {
  readonly value: Module | Parameter | ModuleBuffer;
  readonly path: string;
  readonly container: object;
  readonly key: string;
}

/** The public fields that hold parts, lists and records of parts included. */
function fieldsOf(
  container: object,
  path: string,
  isModule = true,
  outer: readonly object[] = [],
): Field[] {
  const found: Field[] = [];
  // Each training step walks through the tree, most of whose fields are numbers and names.
  for (const key of Object.keys(container)) {
    const value: unknown = Reflect.get(container, key);
    // What a module is built from are its options, not its parts.
    if (typeof value !== 'object' || value === null || (isModule && key === 'options')) continue;
    const place = join(path, isModule && key === 'inner' ? '' : key);
    if (value instanceof Module || value instanceof Parameter || value instanceof ModuleBuffer) {
      found.push({ value, path: place, container, key });
    } else if (isPlain(value) && !outer.includes(value)) {
      // A list or record may hold itself.
      found.push(...fieldsOf(value, place, false, [...outer, value]));
    }
  }
  return found;
}

function isPlain(value: object): boolean {
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}

function partAt(root: Module, path: string, name: string): string {
  requireName(root.type, name);
  return join(path, name);
}

function requireFree(root: Module, found: ReadonlyMap<string, unknown>, path: string): void {
  if (!found.has(path)) return;
  throw new ValueError(
    `${root.type}: two parts are called '${path}'; expected a name of its own for each.`,
  );
}
