/**
 * Modules of another library in lists of theirs. Each has a name, by which the layer here is called as
 * well (`GlowBlock3` is number 3 of the list), so that a network says how it is written back.
 */
import { type Bijection, Sequential } from '@invnet/layers';
import { formatValue, requireRecord, ValueError } from '@invnet/tensor';
import { expectSequential } from './pieces.ts';
import type { Section, SectionWriter } from './state-dict.ts';

/** A module of another library; C is what its neighbours tell. */
export interface Kind<C> {
  /** Is it what a section holds? Left out for modules without parameters, which `gaps` names. */
  recognizes?(state: Section, context: C): boolean;
  /** The map from data to latents. */
  read(state: Section, context: C): Bijection;
  write(layer: Bijection, out: SectionWriter, context: C): Promise<void>;
}

/** By their names, which end with no digit. */
export type Kinds<C> = Readonly<Record<string, Kind<C>>>;

/** What stands at places of lists that have no parameters, by the key that they would have. */
export type Gaps = Readonly<Record<string, string>>;

/** The modules of a list, by kind and number, in the order of the list. */
export function readModules<C>(
  state: Section,
  kinds: Kinds<C>,
  context: C,
  gaps: Gaps,
): [string, Bijection][] {
  const named = Object.keys(gaps).flatMap((key) => {
    const index = key.startsWith(`${state.key()}.`) ? key.slice(state.key().length + 1) : '';
    return /^\d+$/.test(index) ? [Number(index)] : [];
  });
  const found = new Set([...state.indices, ...named]);
  const count = found.size === 0 ? 0 : Math.max(...found) + 1;
  if (count === 0) state.fail('is missing, or an empty list');
  requireNoGaps(state, found, count, kinds);
  return Array.from({ length: count }, (_, i) => {
    const section = state.at(String(i));
    const name = kindOf(section, kinds, context, gaps);
    return [`${name}${i}`, kinds[name]!.read(section, context)];
  });
}

/** The name of what a section holds. */
export function kindOf<C>(state: Section, kinds: Kinds<C>, context: C, gaps: Gaps): string {
  const given = gaps[state.key()];
  if (given !== undefined) {
    const choices = Object.keys(kinds).filter((name) => !kinds[name]!.recognizes);
    if (choices.includes(given) && !state.has('')) {
      state.skip('');
      return given;
    }
    const reason = choices.includes(given)
      ? 'has parameters of its own'
      : `is said to be '${given}'; expected one of ${choices.join(', ')}`;
    return state.fail(reason);
  }
  const name = Object.keys(kinds).find((n) => kinds[n]!.recognizes?.(state, context));
  if (name !== undefined) return name;
  const known = Object.keys(kinds).filter((n) => kinds[n]!.recognizes);
  return state.fail(
    `holds ${state.children.join(', ')}, which is none of ${known.join(', ')}, or one with other options`,
  );
}

/** A single module, called by its kind. */
export function readModule<C>(state: Section, kinds: Kinds<C>, context: C, gaps: Gaps): Sequential {
  const kind = kindOf(state, kinds, context, gaps);
  return new Sequential({ [kind]: kinds[kind]!.read(state, context) });
}

export async function writeModule<C>(
  layer: Bijection,
  out: SectionWriter,
  kinds: Kinds<C>,
  context: C,
): Promise<void> {
  const sequential = expectSequential(layer, out);
  const [kind = ''] = sequential.names;
  await writerOf(kind, kind, out, kinds).write(sequential.at(0), out, context);
}

/** Writes a sequence back to the list that it is from. */
export async function writeModules<C>(
  layers: Bijection,
  out: SectionWriter,
  kinds: Kinds<C>,
  context: C,
): Promise<void> {
  const sequential = expectSequential(layers, out);
  for (const name of sequential.names) {
    const [, kind = '', index = ''] = /^(.*?)(\d+)$/.exec(name) ?? [];
    const writer = writerOf(kind, name, out, kinds);
    await writer.write(sequential.at(name), out.at(index), context);
  }
}

function writerOf<C>(kind: string, name: string, out: SectionWriter, kinds: Kinds<C>): Kind<C> {
  const writer = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
  if (writer) return writer;
  return out.fail(
    `has a layer '${name}' here; expected the name of a module and its number, of one of ` +
      Object.keys(kinds).join(', '),
  );
}

/** @throws ValueError unless it is a record of names. */
export function requireGaps(op: string, gaps: Gaps): void {
  requireRecord(op, 'gaps', gaps, "names by key, such as { 'flows.1': 'PermuteSwap' }");
  for (const [key, name] of Object.entries(gaps)) {
    if (typeof name === 'string') continue;
    throw new ValueError(`${op}: gaps says ${formatValue(name)} of '${key}'; expected a name.`);
  }
}

function requireNoGaps<C>(
  state: Section,
  found: ReadonlySet<number>,
  count: number,
  kinds: Kinds<C>,
): void {
  const gaps: number[] = [];
  for (let i = 0; i < count && gaps.length < 5; i++) if (!found.has(i)) gaps.push(i);
  if (gaps.length === 0) return;
  const choices = Object.keys(kinds).filter((name) => !kinds[name]!.recognizes);
  const keys = gaps.map((i) => state.key(String(i)));
  const first = gaps
    .slice(0, 2)
    .map((i) => `'${state.key(String(i))}': '${choices[0]}'`)
    .join(', ');
  state.fail(
    `has no parameters at ${keys.slice(0, 4).join(', ')}${keys.length > 4 ? ', …' : ''}; expected ` +
      `\`gaps\` to say what stands there, such as { ${first} }, one of ${choices.join(', ')}, and ` +
      'one behind the last, if there is one',
  );
}
