/** Paths in a network's tree: names joined by dots. */
import { formatValue, ValueError } from '@invnet/tensor';

/** @throws ValueError unless it can be a part's name: text without dots. */
export function requireName(op: string, name: string): void {
  if (typeof name === 'string' && /^[^.$/]+$/.test(name) && name !== '__proto__') return;
  throw new ValueError(
    `${op}: the name is ${formatValue(name)}; expected a text without dots, such as 'w1'.`,
  );
}

/** @throws ValueError unless it is a text, as paths and patterns of paths are. */
export function requirePath(op: string, path: string): void {
  if (typeof path === 'string') return;
  throw new ValueError(
    `${op}: the path is ${formatValue(path)}; expected a text, such as 'scales.0'.`,
  );
}

/** The path of a part called `name` in what is at `path`; no name adds nothing. */
export function join(path: string, name: string): string {
  if (name === '') return path;
  return path === '' ? name : `${path}.${name}`;
}

/**
 * Matches the paths, with a dot behind them, that a pattern means, `*` being one name and `**` any number of
 * them; what follows lies inside.
 */
export function pathExpression(pattern: string): RegExp {
  const names = pattern.split('.').map((name) => {
    if (name === '**') return '(?:[^.]+\\.)*';
    const literal = name.replace(/[\\^$+?()[\]{}|]/g, '\\$&');
    return `${literal.replaceAll('*', '[^.]*')}\\.`;
  });
  return new RegExp(`^${names.join('')}`);
}
