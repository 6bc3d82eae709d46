/** Parts of a flow that a fit leaves as they are. */
import type { Flow } from '@invnet/flows';
import { freeze } from '@invnet/layers';

/**
 * Freezes what the patterns name.
 *
 * @returns what thaws it again, but for what was frozen before.
 * @throws ValueError for a pattern that matches nothing; nothing is frozen then.
 */
export function freezeParts(flow: Flow, patterns: readonly string[]): () => void {
  const trained = flow.parameters.filter((p) => !p.frozen);
  const thaw = () => {
    for (const p of trained) p.frozen = false;
  };
  try {
    for (const pattern of patterns) freeze(flow, pattern);
    return thaw;
  } catch (error) {
    thaw();
    throw error;
  }
}
