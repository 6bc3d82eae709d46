/**
 * Configurations: a module as plain JSON, from which it can be built again without its weights.
 * docs/model-files.md describes the form. `describe` makes them, and `build` modules of them; weights
 * and files are added by `@invnet/train`.
 */
import { formatValue, InvNetError, requireList, requireOptions } from '@invnet/tensor';

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

/** Two configurations under comparison. */
export interface ComparedConfigs {
  /** What messages call them. */
  readonly names: readonly [string, string];
  /** Is an option that the first lacks no difference? Default: false. */
  readonly partial?: boolean;
}

/** Where two configurations differ, in words: paths, with both values; none when they are equal. */
export function configDifferences(a: Json, b: Json, options: ComparedConfigs): string[] {
  requireOptions('configDifferences', options, ['names', 'partial']);
  const { names, partial = false } = options;
  requireList('configDifferences', 'names', names);
  const [nameA, nameB] = names;
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
    } else if (x !== y && !(partial && x === undefined)) {
      differences.push(`'${path}' is ${short(x)} in ${nameA} and ${short(y)} in ${nameB}`);
    }
  };
  compare(a, b, '');
  return differences;
}

/** Is it a plain record, not a list, a tensor or an instance of a class? */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  );
}

/** As JSON, or what else it is where it holds what JSON does not know. */
function jsonOf(value: Json): string {
  try {
    return JSON.stringify(value);
  } catch {
    return formatValue(value);
  }
}

function short(value: Json | undefined): string {
  if (value === undefined) return 'missing';
  const text =
    typeof value === 'object' || typeof value === 'string' ? jsonOf(value) : formatValue(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
