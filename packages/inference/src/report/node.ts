/** Node's file system, taken at run time, so that a page can bundle reports that it shows itself. */
import { InvNetError } from '@invnet/tensor';

/** @throws InvNetError where there is no Node. */
export function fileSystem(neededBy: string) {
  if (typeof process === 'undefined' || !process.getBuiltinModule) {
    throw new InvNetError(
      `${neededBy}: needs node:fs/promises, which Node.js gives from versions 20.16 and 22.3 on, and no page has.`,
    );
  }
  return process.getBuiltinModule('node:fs/promises');
}
