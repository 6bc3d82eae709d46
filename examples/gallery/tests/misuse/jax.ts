/** Right calls of `@invnet/jax`. Its functions use up what they are given, so each call gets references. */
import * as jax from '@invnet/jax';
import { AffineLayer } from '@invnet/layers';
import { Array as JaxArray, numpy as np } from '@jax-js/jax';
import { type Calls, call, make } from './call.ts';

/** Calls of all exports of jax. */
export function jaxCalls(): Calls {
  const random = (size: number) => Float32Array.from({ length: size }, (_, i) => Math.sin(i + 1));
  const x = np.array(random(4), { shape: [2, 2] });
  const start = { w: np.array(random(4), { shape: [2, 2] }) };
  const g = ({ w }: { w: np.Array }, y: np.Array) => np.dot(y, w);
  const f = jax.toJax(new AffineLayer({ channels: 2 }));
  const params = f.params();
  const norm = (_: [], y: np.Array, logdet: np.Array) => np.sum(y).add(np.sum(logdet));
  const loss = jax.chain(f, norm);
  // Numbers far from 1 may leave the range of their type on the way.
  const nan = { may: ['nan'] } as const;

  const pulled = (primals: jax.JaxPrimals<np.Array>) => {
    const [[y, logdet], back] = f.vjp(again(primals));
    try {
      return back([y, logdet]);
    } finally {
      back.dispose();
    }
  };
  return {
    JaxError: [make(jax.JaxError, [])],
    fromJax: [
      call(
        (...args: Parameters<typeof jax.fromJax>) => jax.fromJax(...again(args)),
        [g, start, { usesContext: false }],
      ),
    ],
    JaxBlock: [
      call(
        (options: jax.JaxBlockOptions) => new jax.JaxBlock(again(options)),
        [{ g, params: start, usesContext: false }],
      ),
    ],
    toJax: [
      call(jax.toJax, [new AffineLayer({ channels: 2 })]),
      call((...args: Parameters<typeof f.apply>) => f.apply(...again(args)), [params, x], nan),
      call(pulled, [[params, x]], nan),
      call(
        (...args: Parameters<typeof f.jvp>) => f.jvp(...again(args)),
        [
          [params, x],
          [params, x],
        ],
        nan,
      ),
      call((p: jax.JaxParams) => f.assign(again(p)), [params]),
    ],
    chain: [
      call(jax.chain, [f, norm]),
      call(
        (...args: [jax.JaxTree, np.Array]) => loss.valueAndGrad(...again(args)),
        [[params, []], x],
        nan,
      ),
    ],
  };
}

/** The same with another reference to each array that can have one. */
function again<T>(value: T): T {
  if (value instanceof JaxArray) return value.refCount > 0 ? value.ref : value;
  if (Array.isArray(value)) return Array.from(value, (v) => (v === value ? v : again(v))) as T;
  if (typeof value !== 'object' || value === null) return value;
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, again(v)])) as T;
}
