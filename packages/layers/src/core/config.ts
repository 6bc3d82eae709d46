/**
 * Configurations: a module as plain JSON, from which it can be built again without its weights.
 * docs/model-files.md describes the form. Left out: weights and files, which `@invnet/train` adds.
 */
import { InvNetError, RandomStream } from '@invnet/tensor';
import { constructing } from './construction.ts';
import { construct, isModuleType, Module, type ModuleType, placesIn } from './module.ts';
import { isData, named, nameOf } from './named.ts';
import { partsReplacedIn, setPart } from './parts.ts';

/** Plain JSON. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

/**
 * A module as JSON: `$type` and its options, in which modules stand as configurations of their own.
 * `$id` and `$ref` mark a module that stands at several places, `$named` a function, `$parts` the
 * parts that were replaced.
 */
export interface ModuleConfig {
  readonly $type: string;
  readonly [option: string]: Json;
}

/** A module cannot be described, or a configuration cannot be built. */
export class ConfigurationError extends InvNetError {
  override name = 'ConfigurationError';
}

/** What a configuration is built with. */
export interface BuildOptions {
  /** The types that may occur: classes of modules and activations, such as a package's catalogue. */
  readonly modules: readonly ModuleType[];
  /** Makes what `named` gave a name to. */
  readonly named?: Readonly<Record<string, () => object>>;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/**
 * The configuration of a module.
 *
 * @throws ConfigurationError for an option that is no data and has no name; it says which and how to
 * name it.
 * @example describe(new ActNorm({ channels: 3 })) // { $type: 'ActNorm', channels: 3 }
 */
export function describe(module: Module): ModuleConfig {
  const made = new Map<Module, Record<string, Json>>();
  /** What was described within each module that is being described. */
  const open: Set<Module>[] = [];
  const described = new Map<Module, ReadonlySet<Module>>();
  let ids = 0;
  const module_ = (m: Module, path: string): Json => {
    for (const within of open) within.add(m);
    const before = made.get(m);
    if (before) {
      before.$id ??= ++ids;
      return { $ref: before.$id };
    }
    if (!isModuleType(m.constructor)) {
      throw new ConfigurationError(
        `${at(path)}: ${m.constructor.name} has no name for files; expected static type = '…' in ` +
          'the class.',
      );
    }
    const config: Record<string, Json> = { $type: m.type };
    made.set(m, config);
    const within = new Set([m]);
    open.push(within);
    record(m.options, path, config, m.type);
    // Those that stand among the options are described already.
    const replaced = [...partsReplacedIn(m)].filter(([, part]) => !within.has(part));
    if (replaced.length > 0) {
      config.$parts = Object.fromEntries(
        replaced.map(([place, part]) => [place, module_(part, `${path}${place}`)]),
      );
    }
    open.pop();
    described.set(m, within);
    return config;
  };
  const record = (from: object, path: string, into: Record<string, Json>, owner: string) => {
    for (const [key, value] of Object.entries(from)) {
      if (value === undefined) continue;
      if (key.startsWith('$')) throw new ConfigurationError(`${at(path)}: option '${key}'.`);
      into[key] = encode(value, `${path}${key}`, owner);
    }
    return into;
  };
  const encode = (value: unknown, path: string, owner: string): Json => {
    if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    if (value instanceof Module) return module_(value, `${path}.`);
    if (Array.isArray(value)) return value.map((v, i) => encode(v, `${path}.${i}`, owner));
    if (typeof value === 'object' || typeof value === 'function') {
      const name = nameOf(value);
      if (name !== undefined) return { $named: name };
      if (isData(value)) return record(value.options, `${path}.`, { $type: value.name }, owner);
    }
    if (isRecord(value) && !Object.values(value).some((v) => typeof v === 'function')) {
      return record(value, `${path}.`, {}, owner);
    }
    const what = typeof value === 'object' ? 'an object of functions' : `a ${typeof value}`;
    throw new ConfigurationError(
      `'${path}' of a ${owner} is ${what}, which cannot be saved; expected it as named('a name', ` +
        'value), and a factory of that name when it is loaded.',
    );
  };
  const config = module_(module, '') as ModuleConfig;
  for (const [m, within] of described) requireOwnParts(m, within, described);
  return config;
}

/** @throws ConfigurationError when a part that a module makes by itself stands elsewhere as well. */
function requireOwnParts(
  owner: Module,
  within: ReadonlySet<Module>,
  described: ReadonlyMap<Module, unknown>,
): void {
  for (const { path, module } of placesIn(owner)) {
    if (within.has(module) || !described.has(module)) continue;
    throw new ConfigurationError(
      `'${path}' is made by its ${owner.type}, and stands outside of it as well, which a file cannot ` +
        'say; expected a part that was passed to both, or a copyModule of it.',
    );
  }
}

/**
 * The module of a configuration, with fresh weights.
 *
 * @throws ConfigurationError for a type that was not passed, options that its class refuses or does
 * not know, or a shared part that is missing; nothing is left behind.
 * @example
 * const net = build({ $type: 'ActNorm', channels: 3 }, { modules: layerCatalogue });
 */
export function build(config: Json, options: BuildOptions): Module {
  const types = new Map(options.modules.map((m) => [m.type, m]));
  const random = options.random ?? new RandomStream(0);
  const shared = new Map<Json, object>();
  const decode = (value: Json | undefined, path: string): unknown => {
    if (Array.isArray(value)) return value.map((v, i) => decode(v, `${path}.${i}`));
    if (!isRecord(value)) return value;
    const { $type, $ref, $named, $id, $parts, ...rest } = value as Readonly<Record<string, Json>>;
    if ($ref !== undefined) {
      return (
        shared.get($ref) ?? fail(path, `refers to part ${JSON.stringify($ref)}, which is missing`)
      );
    }
    if ($named !== undefined) {
      const factory = typeof $named === 'string' ? options.named?.[$named] : undefined;
      if (!factory) {
        return fail(path, `needs '${$named}'; expected named: { '${$named}': () => … } with it`);
      }
      return madeAs(String($named), path, factory());
    }
    if ($type === undefined) {
      return Object.fromEntries(
        Object.entries(rest).map(([k, v]) => [k, decode(v, `${path}.${k}`)]),
      );
    }
    const type = types.get(String($type));
    if (!type) {
      return fail(
        path,
        `is of the type '${$type}', which was not passed in; expected one of ` +
          `${[...types.keys()].join(', ') || 'none'}`,
      );
    }
    const decoded = Object.fromEntries(
      Object.entries(rest).map(([k, v]) => [k, decode(v, path === '' ? k : `${path}.${k}`)]),
    );
    const result = attempt(path, () => construct(type, { ...decoded, random }));
    if ($id !== undefined) {
      if (shared.has($id)) fail(path, `has the number ${JSON.stringify($id)} of another part`);
      shared.set($id, result);
    }
    if ($parts !== undefined) {
      if (!isRecord($parts) || !(result instanceof Module)) fail(path, 'has $parts that are none');
      for (const [part, child] of Object.entries($parts as Readonly<Record<string, Json>>)) {
        const replacement = decode(child, `${path}.$parts.${part}`);
        if (!(replacement instanceof Module)) fail(`${path}.$parts.${part}`, 'is no module');
        attempt(path, () => setPart(result as Module, part, replacement as Module));
      }
    }
    return result;
  };
  return constructing(() => {
    const result = decode(config, '');
    if (!(result instanceof Module)) return fail('', 'is no configuration of a module');
    const differences = configDifferences(
      config,
      describe(result),
      'the configuration',
      'what it builds',
    );
    if (differences.length > 0) {
      return fail('', `does not hold: ${differences.slice(0, 4).join('; ')}`);
    }
    return result;
  });
}

/** Where two configurations differ, in words: paths, with both values; none when they are equal. */
export function configDifferences(a: Json, b: Json, nameA: string, nameB: string): string[] {
  const differences: string[] = [];
  const compare = (x: Json | undefined, y: Json | undefined, path: string) => {
    if (isRecord(x) && isRecord(y)) {
      for (const key of new Set([...Object.keys(x), ...Object.keys(y)])) {
        compare(x[key] as Json, y[key] as Json, path === '' ? key : `${path}.${key}`);
      }
    } else if (Array.isArray(x) && Array.isArray(y) && x.length === y.length) {
      x.forEach((v, i) => {
        compare(v, y[i], `${path}.${i}`);
      });
    } else if (x !== y) {
      differences.push(`'${path}' is ${short(x)} in ${nameA} and ${short(y)} in ${nameB}`);
    }
  };
  compare(a, b, '');
  return differences;
}

/** What a factory made, under the name that it was asked for by, so that it can be saved again. */
function madeAs(name: string, path: string, value: unknown): object {
  if ((typeof value === 'object' && value !== null) || typeof value === 'function') {
    return nameOf(value) === undefined ? named(name, value) : value;
  }
  return fail(path, `was made by a factory that returned ${typeof value}; expected an object`);
}

function attempt<T>(path: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    if (cause instanceof ConfigurationError) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigurationError(`${at(path)} cannot be built: ${message}`, { cause });
  }
}

function fail(path: string, problem: string): never {
  throw new ConfigurationError(`${at(path)} ${problem}.`);
}

function at(path: string): string {
  return path === ''
    ? 'the configuration'
    : `the configuration at '${path.replace(/^\.|\.$/g, '')}'`;
}

function short(value: Json | undefined): string {
  if (value === undefined) return 'missing';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.getPrototypeOf(value) === Object.prototype
  );
}
