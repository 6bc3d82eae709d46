/** What computes the waves: this library, or Devito in a process of its own. */
import type { WaveEngine } from '@invnet/operators';
import { FlagError } from 'example-kit';

/** Names of engines. */
export const engines = ['invnet', 'devito'] as const;

/**
 * A running engine; nothing for our own.
 *
 * @throws FlagError when there is no @invnet/devito; DevitoError when it does not start.
 */
export async function startEngine(
  name: (typeof engines)[number],
): Promise<(WaveEngine & Disposable) | undefined> {
  if (name === 'invnet') return undefined;
  const { Devito } = await import('@invnet/devito').catch((cause: unknown) => {
    const message = '--engine devito needs the package @invnet/devito, which is not installed.';
    throw new FlagError(message, { cause });
  });
  return new Devito();
}
