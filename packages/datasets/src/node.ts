/**
 * Node's own modules, taken at run time: no bundler sees an import of them, so a page can bundle
 * this package although a part of it needs Node.
 */
import { InvNetError } from '@invnet/tensor';

/** One of Node's modules. @throws InvNetError where there is no Node. */
export function nodeModule<Name extends 'node:fs/promises' | 'node:module' | 'node:path'>(
  name: Name,
  neededBy: string,
) {
  if (typeof process === 'undefined' || !process.getBuiltinModule) {
    throw new InvNetError(
      `${neededBy}: needs ${name}, which Node.js gives from versions 20.16 and 22.3 on, and no page has.`,
    );
  }
  return process.getBuiltinModule(name);
}
