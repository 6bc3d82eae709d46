/** Calls that are right as they stand, and the ways to spoil one of their arguments. */

/** A call of an export, or of a method of what an export makes. */
export interface Call {
  /** For messages: `Glow.forward`. */
  readonly name: string;
  readonly args: readonly unknown[];
  run(args: readonly unknown[]): unknown;
  /** Whose method it is, if it is one. */
  readonly self?: object;
  /** Undoes what the call leaves by design, such as gradients. */
  undo?: () => void;
  /** Are results that are no numbers right, or its own errors of another kind? */
  readonly may?: readonly ('nan' | 'system')[];
}

/** Calls of a package's exports, by their names. */
export type Calls = Readonly<Record<string, readonly Call[]>>;

type Extras = Pick<Call, 'undo' | 'may'>;

/** `f(...args)` */
export function call(f: unknown, args: readonly unknown[], extras: Extras = {}): Call {
  const run = f as (...args: readonly unknown[]) => unknown;
  return { name: run.name, args, run: (spoiled) => run(...spoiled), ...extras };
}

/** `new C(...args)` */
export function make(C: unknown, args: readonly unknown[], extras: Extras = {}): Call {
  const made = C as new (...args: readonly unknown[]) => object;
  return { name: `new ${made.name}`, args, run: (spoiled) => new made(...spoiled), ...extras };
}

/** `self.method(...args)` */
export function on(
  self: object,
  method: string,
  args: readonly unknown[],
  extras: Extras = {},
): Call {
  const f = Reflect.get(self, method) as (...args: readonly unknown[]) => unknown;
  const run = (spoiled: readonly unknown[]) => Reflect.apply(f, self, spoiled);
  return { name: `${self.constructor.name}.${method}`, args, run, self, ...extras };
}

/** What a place of a value within a call's arguments becomes when it is spoiled. */
export type Spoil = (bad: unknown) => unknown[];

/** All places in a call's arguments: each argument, the entries of lists, the fields of records, and one more. */
export function placesIn(args: readonly unknown[]): Spoil[] {
  return args.flatMap((arg, i) =>
    placesOf(arg, 0).map(
      (spoil) => (bad: unknown) => args.map((a, j) => (i === j ? spoil(bad) : a)),
    ),
  );
}

function placesOf(value: unknown, depth: number): ((bad: unknown) => unknown)[] {
  const whole = (bad: unknown) => bad;
  if (depth === 3) return [whole];
  if (Array.isArray(value)) {
    const entries = value
      .slice(0, 4)
      .flatMap((v, i) =>
        placesOf(v, depth + 1).map((spoil) => (bad: unknown) => value.with(i, spoil(bad))),
      );
    return [whole, ...entries];
  }
  if (value === null || typeof value !== 'object') return [whole];
  if (Object.getPrototypeOf(value) !== Object.prototype) return [whole];
  const fields = Object.entries(value).flatMap(([key, v]) =>
    placesOf(v, depth + 1).map((spoil) => (bad: unknown) => ({ ...value, [key]: spoil(bad) })),
  );
  return [whole, ...fields, (bad) => ({ ...value, misspelt: bad })];
}
