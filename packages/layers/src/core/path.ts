/** Paths in a network's tree: names joined by dots. */

/** The path of a part called `name` in what is at `path`; no name adds nothing. */
export function join(path: string, name: string): string {
  if (name === '') return path;
  return path === '' ? name : `${path}.${name}`;
}
