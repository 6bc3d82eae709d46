/**
 * From InvNet to jax-js: a bijection, network or flow as a function of jax-js's arrays, with its derivatives, and
 * with its parameters as a record of arrays.
 *
 * jax-js 0.1 takes no derivatives from its users (`custom_vjp`), so such a function cannot stand within its `grad`.
 * It has a `vjp` and a `jvp` in the form of jax-js's instead, and `chain` puts it between functions of jax-js.
 */

import { Flow } from '@invnet/flows';
import { Bijection, type Pair, requireBijection } from '@invnet/layers';
import type { JaxArray } from './arrays.ts';
import { flowEnding, networkEnding, pairForm, tensorForm } from './forms.ts';
import type { JaxMap } from './jax-map.ts';
import { NetworkMap } from './network-map.ts';
import type { JaxOperation } from './operation.ts';

/**
 * A bijection or network as the function (params, x, context?) → [y, logdet] of jax-js's arrays; a flow as
 * (params, x, context?) → log p(x). Of a map of pairs, x and y are lists of two. The inverse is
 * `toJax(reverse(network))`.
 *
 * Arrays have the type of the network's numbers, float32 but on the backend `reference`, and results lie on the
 * device of x. Layers that data set are `initialize`d before.
 *
 * @throws ValueError unless it is a bijection or a flow. Its functions throw ValueError, ShapeError, DTypeError and
 * DisposedError for arguments that do not fit, and a `BackendError` where one side cannot be read at once.
 * @example
 * const flow = toJax(new Flow({ network: new Glow({ channels: 2, ndims: 0, scales: 1, steps: 4 }) }));
 * const [logProb, back] = flow.vjp([flow.params(), x]);
 * const [dparams, dx] = back(np.ones([256]));
 * back.dispose();
 */
export function toJax(map: Flow): JaxMap<JaxArray, JaxArray>;
export function toJax(map: Bijection): JaxMap<JaxArray, [y: JaxArray, logdet: JaxArray]>;
export function toJax(
  map: Bijection<Pair>,
): JaxMap<[JaxArray, JaxArray], [y: [JaxArray, JaxArray], logdet: JaxArray]>;
export function toJax(map: Flow | Bijection | Bijection<Pair>): JaxOperation {
  if (map instanceof Flow) {
    return new NetworkMap(map, map.network, tensorForm, flowEnding(map));
  }
  if (isOfPairs(map)) return new NetworkMap(map, map, pairForm, networkEnding(pairForm));
  requireBijection('toJax', 'the map', map, 1);
  return new NetworkMap(map, map, tensorForm, networkEnding(tensorForm));
}

function isOfPairs(map: Bijection | Bijection<Pair>): map is Bijection<Pair> {
  return map instanceof Bijection && map.stateSize === 2;
}
