/**
 * Runs as earlier versions wrote them: with the places of the data and their noise, which follow from the
 * step; and with minutes beside the epochs that replaced them.
 */

/** The same run in today's form; anything else as it is, for whoever reads it to refuse. */
export function upgrade(saved: unknown): unknown {
  if (!isRecord(saved) || !isRecord(saved.state) || !isRecord(saved.budget)) return saved;
  if (!('bitsPerDim' in saved.state)) return saved;
  const { place: _, noise: __, bitsPerDim: losses, ...state } = saved.state;
  const { minutes, ...rest } = saved.budget;
  const budget = rest.epochs === undefined ? { minutes, ...rest } : rest;
  return { ...saved, budget, state: { ...state, losses } };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
