/** From modules to configurations. */
import { Tensor } from '@invnet/tensor';
import { isModuleType, Module, placesIn, requireModule } from '../tree/module.ts';
import { isData, nameOf } from '../tree/named.ts';
import { join } from '../tree/path.ts';
import { ConfigurationError, isRecord, type Json, type ModuleConfig } from './config.ts';
import { partsReplacedIn } from './parts.ts';

/**
 * The configuration of a module.
 *
 * @throws ConfigurationError for an option that is no data and has no name; it says which and how to
 * name it; or for a part that a module makes by itself and that stands elsewhere as well.
 * @example describe(new ActNorm({ channels: 3 })) // { $type: 'ActNorm', channels: 3 }
 */
export function describe(module: Module): ModuleConfig {
  requireModule('describe', module);
  const description = new Description();
  const config = description.ofModule(module, '');
  description.requireOwnParts();
  return config;
}

/** What was described so far of a network. */
class Description {
  readonly #configs = new Map<Module, Record<string, Json>>();
  /** All modules that were described within one, itself included. */
  readonly #within = new Map<Module, Set<Module>>();
  /** The modules that are being described, outermost first. */
  readonly #open: Module[] = [];
  readonly #namedOnes = new Map<object, Record<string, Json>>();
  #ids = 0;

  /** A module's configuration, or a reference to it where it was described before. */
  ofModule(m: Module, path: string): ModuleConfig;
  ofModule(m: Module, path: string): Json {
    for (const outer of this.#open) {
      for (const inner of this.#within.get(m) ?? [m]) this.#within.get(outer)!.add(inner);
    }
    const before = this.#configs.get(m);
    if (before) {
      before.$id ??= ++this.#ids;
      return { $ref: before.$id };
    }
    if (!isModuleType(m.constructor)) {
      throw new ConfigurationError(
        `${path === '' ? 'the network' : `'${path}'`} is a ${m.constructor.name}, which has no name ` +
          "for files; expected static type = '…' in the class.",
      );
    }
    const config: Record<string, Json> = { $type: m.type };
    const within = new Set([m]);
    this.#configs.set(m, config);
    this.#within.set(m, within);
    this.#open.push(m);
    this.#addRecord(config, m.options, path, m.type);
    // Those that stand among the options are described already.
    const replaced = [...partsReplacedIn(m)].filter(([, part]) => !within.has(part));
    if (replaced.length > 0) {
      config.$parts = Object.fromEntries(
        replaced.map(([place, part]) => [place, this.ofModule(part, join(path, place))]),
      );
    }
    this.#open.pop();
    return config;
  }

  /** @throws ConfigurationError when a part that a module makes by itself stands elsewhere as well. */
  requireOwnParts(): void {
    // What was put in by a module further out is that one's to say.
    const putIn = new Set<Module>();
    for (const owner of this.#within.keys()) {
      for (const part of partsReplacedIn(owner).values()) {
        for (const m of this.#within.get(part) ?? []) putIn.add(m);
      }
    }
    for (const [owner, within] of this.#within) {
      for (const { path, module } of placesIn(owner)) {
        if (within.has(module) || putIn.has(module) || !this.#configs.has(module)) continue;
        throw new ConfigurationError(
          `'${path}' is made by its ${owner.type}, and stands outside of it as well, which a file ` +
            'cannot say; expected a part that was passed to both, or a copyModule of it.',
        );
      }
    }
  }

  #addRecord(into: Record<string, Json>, from: object, path: string, owner: string): void {
    for (const [key, value] of Object.entries(from)) {
      if (value === undefined) continue;
      if (key.startsWith('$') || key === '__proto__') {
        throw new ConfigurationError(
          `an option of ${owner} is called '${key}'; expected a name that files do not reserve.`,
        );
      }
      into[key] = this.#ofOption(value, join(path, key), owner);
    }
  }

  #ofOption(value: unknown, path: string, owner: string): Json {
    if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    if (value instanceof Module) return this.ofModule(value, path);
    if (Array.isArray(value)) {
      return value.map((v, i) => this.#ofOption(v, join(path, String(i)), owner));
    }
    if (typeof value === 'object' || typeof value === 'function') {
      const name = nameOf(value);
      if (name !== undefined) return this.#ofNamed(value, name);
      if (isData(value)) return this.#ofRecord(value.options, path, owner, value.name);
    }
    if (isRecord(value) && !Object.values(value).some((v) => typeof v === 'function')) {
      return this.#ofRecord(value, path, owner);
    }
    if (typeof value === 'number') {
      throw new ConfigurationError(`'${path}' of a ${owner} is ${value}; expected finite numbers.`);
    }
    if (value instanceof Tensor || ArrayBuffer.isView(value)) {
      throw new ConfigurationError(
        `'${path}' of a ${owner} is a ${value.constructor.name}; expected a plain list of numbers, or a ` +
          'Parameter or TensorBuffer in a field of the module instead of an option.',
      );
    }
    const what = typeof value === 'object' ? 'an object of functions' : `a ${typeof value}`;
    throw new ConfigurationError(
      `'${path}' of a ${owner} is ${what}, which cannot be saved; expected it as named('a name', ` +
        'value), and a factory of that name when it is loaded.',
    );
  }

  /** A named function or object, or a reference to it where it was described before. */
  #ofNamed(value: object, name: string): Json {
    const before = this.#namedOnes.get(value);
    if (before) {
      before.$id ??= ++this.#ids;
      return { $ref: before.$id };
    }
    const config: Record<string, Json> = { $named: name };
    this.#namedOnes.set(value, config);
    return config;
  }

  #ofRecord(value: object, path: string, owner: string, type?: string): Json {
    const config: Record<string, Json> = type === undefined ? {} : { $type: type };
    this.#addRecord(config, value, path, owner);
    return config;
  }
}
