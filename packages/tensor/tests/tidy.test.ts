/** What `tidy` keeps, whatever its function returns, and what it refuses. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  collectTensors,
  DisposedError,
  exp,
  isTemporary,
  keep,
  memory,
  ones,
  type Tensor,
  tidy,
  ValueError,
} from '../src/index.ts';

/** A class of one's own. */
class Holder {
  readonly first: unknown;
  readonly #second: unknown;

  constructor(first: unknown, second?: unknown) {
    this.first = first;
    this.#second = second;
  }

  get second() {
    return this.#second;
  }
}

/** Ways to hold something. */
const holders: readonly ((held: unknown) => unknown)[] = [
  (held) => [1, held],
  (held) => ({ held }),
  (held) => Object.assign(Object.create(null), { held }),
  (held) => Object.freeze(new Map([['held', held]])),
  (held) => new Map([[held, 1]]),
  (held) => new Set([held]),
  (held) => new Holder(held),
  (held) => new Proxy({ held }, {}),
  (held) => Object.assign(() => 1, { held }),
  (held) => {
    const node: { held: unknown; self?: unknown; siblings?: unknown[] } = { held };
    node.self = node;
    node.siblings = [node, [node]];
    return node;
  },
  (held) => ({
    get broken() {
      throw new Error('on purpose');
    },
    held,
  }),
];

/** A record of one field; written out, linters take one called `then` for a promise. */
const named = (field: string, value: unknown) => Object.fromEntries([[field, value]]);

/** What `tidy` leaves of a function's tensors: they are freed by this. */
function left(fn: (t: Tensor) => unknown): number {
  const before = memory().tensors;
  const found = new Set<Tensor>();
  collectTensors(
    tidy(() => {
      exp(ones([2]));
      return fn(ones([3]));
    }),
    found,
  );
  const count = memory().tensors - before;
  for (const t of found) t.dispose();
  expect(memory().tensors).toBe(before);
  return count;
}

describe('tidy', () => {
  it('keeps a tensor however it is held, and nothing else', () => {
    for (const hold of holders) expect(left(hold), String(hold)).toBe(1);
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...holders), { maxLength: 8 }), (nested) => {
        expect(left((t) => nested.reduce<unknown>((held, hold) => hold(held), t))).toBe(1);
      }),
      { numRuns: 200, seed: 1 },
    );
  });

  it('has no limit to depth', () => {
    const chain = (held: unknown) => {
      let list = held;
      for (let i = 0; i < 100_000; i++) list = { next: [list] };
      return list;
    };
    expect(left(chain)).toBe(1);
  });

  it('does not look at numbers, one by one', () => {
    let looked = false;
    const numbers = Object.defineProperty(new Float64Array(4), 'field', {
      enumerable: true,
      get: () => {
        looked = true;
      },
    });
    expect(left((t) => ({ t, numbers, list: new Array(1e6).fill(0.5) }))).toBe(1);
    expect(looked).toBe(false);
  });

  it('frees what is out of sight, whose use says so; `keep` spares it', () => {
    const { square, holder } = tidy(() => {
      const [captured, hidden] = [ones([2]), ones([2])];
      return { square: () => exp(captured), holder: new Holder(1, hidden) };
    });
    expect(square).toThrow(DisposedError);
    expect(square).toThrow(/`keep`/);
    expect((holder.second as Tensor).disposed).toBe(true);
    const kept = tidy(() => {
      const captured = keep(ones([2]));
      return { value: () => exp(captured), dispose: () => captured.dispose() };
    });
    kept.value().dispose();
    kept.dispose();
  });

  it('refuses what comes later, and what nobody can look into', () => {
    const before = memory();
    const results: readonly ((t: Tensor) => unknown)[] = [
      async (t) => t,
      (t) => [t].map(async (each) => each),
      (t) => named('then', (done: (t: Tensor) => void) => done(t)),
      (t) =>
        Object.assign(
          () => 1,
          named('then', () => t),
        ),
      (t) => [t].values(),
      () => Object.create({ [Symbol.toStringTag]: 'Iterator Helper' }),
      (t) => new Map([['t', t]]).entries(),
      (t) => new WeakSet([t]),
      (t) => new WeakRef(t),
      function* (t) {
        yield t;
      },
      async function* (t) {
        yield t;
      },
      (t) => {
        const { proxy, revoke } = Proxy.revocable([t], {});
        revoke();
        return { proxy };
      },
      (t) =>
        new Proxy(t, {
          getPrototypeOf() {
            throw new Error('on purpose');
          },
        }),
    ];
    for (const result of results) {
      expect(() => tidy(() => [result(ones([2]))][0]), String(result)).toThrow(ValueError);
      expect(memory()).toMatchObject({ tensors: before.tensors, liveBytes: before.liveBytes });
    }
    // A field of that name is no promise.
    expect(left((t) => named('then', t))).toBe(1);
  });

  it('tells what it will free', () => {
    const outer = ones([2]);
    tidy(() => {
      const made = ones([2]);
      expect([isTemporary(made), isTemporary(outer), isTemporary(keep(made))]).toEqual([
        true,
        false,
        false,
      ]);
      made.dispose();
    });
    outer.dispose();
  });
});
