/** Which parameters are trained, by path, or for a while none; and how many numbers that are. */
import { requireBoolean, requireFunction, requireOptions, ValueError } from '@invnet/tensor';
import { type Module, namedParameters, requireModule } from '../tree/module.ts';
import type { Parameter } from '../tree/parameter.ts';
import { pathExpression, requirePath } from '../tree/path.ts';
import { moduleAt } from './parts.ts';

/**
 * Keeps the parameters whose path matches as they are, and gives their paths. `*` stands for one
 * name, `**` for any number of them; a pattern that is the path of a module means all in it, and with
 * `.inner` behind it all in what a wrapper there wraps.
 *
 * @throws ValueError when nothing matches.
 * @example
 * freeze(glow, 'scales.0'); // the first scale
 * freeze(glow, '**.conditioner.*'); // all conditioners
 */
export function freeze(network: Module, pattern: string): string[] {
  return setFrozen(network, pattern, true);
}

/** The opposite of `freeze`. @throws ValueError when nothing matches. */
export function unfreeze(network: Module, pattern: string): string[] {
  return setFrozen(network, pattern, false);
}

/** How many numbers the network's parameters are, all or those that are trained. */
export function countParameters(
  network: Module,
  options: { readonly trained?: boolean } = {},
): number {
  requireModule('countParameters', network);
  requireOptions('countParameters', options, ['trained']);
  const { trained = false } = options;
  requireBoolean('countParameters', 'trained', trained);
  let count = 0;
  for (const p of network.parameters) if (!(trained && p.frozen)) count += p.size;
  return count;
}

/**
 * Runs `fn` while no parameter of the network gathers a gradient, as if all were frozen: for derivatives in the argument
 * alone. It does not wait for anything, so that searches along one network may run at the same time.
 *
 * @example const { dx } = withoutGradients(network, () => network.backward(y, dy));
 */
export function withoutGradients<T>(network: Module, fn: () => T): T {
  requireModule('withoutGradients', network);
  requireFunction('withoutGradients', 'fn', fn);
  const trained = network.parameters.filter((p) => !p.frozen);
  for (const p of trained) p.frozen = true;
  try {
    return fn();
  } finally {
    for (const p of trained) p.frozen = false;
  }
}

function setFrozen(network: Module, pattern: string, on: boolean): string[] {
  requireModule('freeze', network);
  requirePath('freeze', pattern);
  const parameters = namedParameters(network);
  const matches = pattern.endsWith('.inner')
    ? isIn(moduleAt(network, pattern))
    : (path: string) => pathExpression(pattern).test(`${path}.`);
  const matching = [...parameters].filter(([path, p]) => matches(path, p));
  if (matching.length === 0) {
    const [some] = parameters.keys();
    throw new ValueError(
      `${network.type}: no parameter matches '${pattern}'; expected a path or a pattern of paths, ` +
        `which are like '${some ?? 'coupling.conditioner.w1'}'.`,
    );
  }
  return matching.map(([path, p]: [string, Parameter]) => {
    p.frozen = on;
    return path;
  });
}

/** What a wrapper wraps has its path, so that its parameters are told apart by what they are. */
function isIn(module: Module): (path: string, p: Parameter) => boolean {
  const inside = new Set([...namedParameters(module).values()].map((p) => p.identity));
  return (_, p) => inside.has(p.identity);
}
