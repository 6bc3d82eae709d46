/** From configurations to modules. */

import {
  formatValue,
  OutOfMemoryError,
  RandomStream,
  requireList,
  requireOptions,
  requireRecord,
  ValueError,
} from '@invnet/tensor';
import { Construction } from '../tree/construction.ts';
import { construct, isModuleClass, isModuleType, Module, type ModuleType } from '../tree/module.ts';
import { named, nameOf } from '../tree/named.ts';
import { join } from '../tree/path.ts';
import {
  ConfigurationError,
  configDifferences,
  isRecord,
  type Json,
  type ModuleConfig,
} from './config.ts';
import { describe } from './describe.ts';
import { setPart } from './parts.ts';

/** What a configuration is built with. */
export interface BuildOptions {
  /** The types that may occur: classes of modules and activations, such as a package's catalogue. */
  readonly modules: readonly ModuleType[];
  /** Makes what `named` gave a name to. */
  readonly named?: Readonly<Record<string, () => object>>;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
  /** Sizes beyond it are refused, as for a file that cannot be of them. Default: no limit. */
  readonly largestSize?: number;
}

/**
 * The module of a configuration, with fresh weights.
 *
 * @throws ConfigurationError for a type that was not passed, options that its class refuses or does
 * not know, or a shared part that is missing; nothing is left behind.
 * @example
 * const net = build({ $type: 'ActNorm', channels: 3 }, { modules: layerCatalogue });
 */
export function build(config: ModuleConfig | Json, options: BuildOptions): Module {
  requireOptions('build', options, ['modules', 'named', 'random', 'largestSize']);
  using construction = new Construction(options.largestSize);
  const module = new Building(options).decoded(config, '');
  if (!(module instanceof Module)) return fail('', 'is no configuration of a module');
  // What a class reads otherwise, or does not know. An option that is left out has its default, as in
  // files from before there was one.
  const names = ['it', 'what is built'] as const;
  const differences = configDifferences(config, describe(module), { names, partial: true });
  if (differences.length > 0) fail('', `does not hold: ${differences.slice(0, 4).join('; ')}`);
  construction.complete();
  return module;
}

/** In letters. */
const longestPath = 4000;
/** So that one without end, which refers to itself, is told before the stack is full. */
const mostLevels = 500;

/** What was built so far of a network. */
class Building {
  readonly #types: ReadonlyMap<string, ModuleType>;
  readonly #factories: Readonly<Record<string, () => object>>;
  readonly #random: RandomStream;
  /** Modules that stand at several places, by their number. */
  readonly #shared = new Map<Json, object>();
  /** How many values around the one that is decoded. */
  #level = 0;

  constructor({ modules, named = {}, random = new RandomStream(0) }: BuildOptions) {
    const types = new Map<string, ModuleType>();
    requireList('build', 'modules', modules, 'a list of classes, such as layerCatalogue');
    requireRecord('build', 'named', named, "{ 'a name': () => …, … }");
    for (const m of modules) {
      if (!isModuleType(m)) {
        throw new ValueError(
          `build: got ${formatValue(m)} among the modules; expected classes, as of a catalogue.`,
        );
      }
      const other = types.get(m.type);
      if (other && other !== m) {
        throw new ConfigurationError(
          `two of the modules have the type '${m.type}'; expected a type of its own for each class.`,
        );
      }
      types.set(m.type, m);
    }
    this.#types = types;
    this.#factories = named;
    this.#random = random;
  }

  /** The value that an option of a configuration means. */
  decoded(value: Json, path: string): unknown {
    if (path.length > longestPath || this.#level > mostLevels) fail('', 'is nested too deeply');
    this.#level += 1;
    try {
      return this.#within(value, path);
    } finally {
      this.#level -= 1;
    }
  }

  #within(value: Json, path: string): unknown {
    if (Array.isArray(value)) return value.map((v, i) => this.decoded(v, join(path, String(i))));
    if (!isRecord(value)) return value;
    const config = value as Readonly<Record<string, Json>>;
    if (config.$ref !== undefined) return this.#sharedPart(config.$ref, path);
    if (config.$named !== undefined) {
      const made = this.#namedValue(config.$named, path);
      this.#share(config.$id, made, path);
      return made;
    }
    if (config.$type !== undefined) return this.#typedValue(config, path);
    return this.#record(config, path);
  }

  #record(config: Readonly<Record<string, Json>>, path: string): Record<string, unknown> {
    const entries = Object.entries(config);
    return Object.fromEntries(entries.map(([k, v]) => [k, this.decoded(v, join(path, k))]));
  }

  #sharedPart(id: Json, path: string): object {
    const part = this.#shared.get(id);
    return part ?? fail(path, `refers to part ${JSON.stringify(id)}, which is missing`);
  }

  /** What a factory made, under the name that it was asked for by, so that it can be saved again. */
  #namedValue(name: Json, path: string): object {
    const key = String(name);
    if (!Object.hasOwn(this.#factories, key)) {
      return fail(path, `needs '${key}'; expected named: { '${key}': () => … } with it`);
    }
    const factory: unknown = this.#factories[key];
    if (typeof factory !== 'function') {
      return fail(path, `got ${typeof factory} for '${key}'; expected a function that makes it`);
    }
    const value: unknown = factory();
    if ((typeof value === 'object' && value !== null) || typeof value === 'function') {
      return nameOf(value) === undefined ? named(key, value) : value;
    }
    return fail(path, `was made by a factory that returned ${typeof value}; expected an object`);
  }

  /** A module, or an activation. */
  #typedValue(config: Readonly<Record<string, Json>>, path: string): object {
    const { $type, $id, $parts, ...options } = config;
    const type = this.#types.get(String($type));
    if (!type) {
      return fail(
        path,
        `is of the type ${formatValue($type)}, which was not passed in; expected its class among the ` +
          `modules, as modules: [${String($type)}, …]`,
      );
    }
    const values = this.#record(options, path);
    // Only modules have weights to draw.
    const random = isModuleClass(type) && { random: this.#random };
    const made = attempt(path, () => construct(type, { ...values, ...random }));
    this.#share($id, made, path);
    if ($parts !== undefined) this.#replaceParts(made, $parts, join(path, '$parts'));
    return made;
  }

  #share(id: Json | undefined, made: object, path: string): void {
    if (id === undefined) return;
    if (this.#shared.has(id)) fail(path, `has the number ${JSON.stringify(id)} of another part`);
    this.#shared.set(id, made);
  }

  #replaceParts(owner: object, parts: Json, path: string): void {
    if (!isRecord(parts) || !(owner instanceof Module)) fail(path, 'are no parts');
    for (const [place, config] of Object.entries(parts as Readonly<Record<string, Json>>)) {
      const part = this.decoded(config, join(path, place));
      if (!(part instanceof Module)) fail(join(path, place), 'is no module');
      attempt(path, () => setPart(owner, place, part));
    }
  }
}

function attempt<T>(path: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    // The configuration is not to blame when memory ends.
    if (cause instanceof ConfigurationError || cause instanceof OutOfMemoryError) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigurationError(`${at(path)} cannot be built: ${message}`, { cause });
  }
}

function fail(path: string, problem: string): never {
  throw new ConfigurationError(`${at(path)} ${problem}.`);
}

function at(path: string): string {
  return path === '' ? 'the configuration' : `the configuration at '${path}'`;
}
