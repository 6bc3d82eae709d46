/** Paths in a network's tree: names joined by dots. */
import { ValueError } from '@invnet/tensor';

/** @throws ValueError unless it can be a part's name: text without dots. */
export function requireName(op: string, name: string): void {
  if (typeof name === 'string' && /^[^.$/]+$/.test(name) && name !== '__proto__') return;
  throw new ValueError(`${op}: the name is '${name}'; expected a text without dots, such as 'w1'.`);
}

/** The path of a part called `name` in what is at `path`; no name adds nothing. */
export function join(path: string, name: string): string {
  if (name === '') return path;
  return path === '' ? name : `${path}.${name}`;
}
