/**
 * What the base class promises for every row: arguments of wrong shapes are refused by an error of the
 * library, and whatever throws, wherever, nothing is left behind.
 */
import {
  type Bijection,
  Conditioner,
  initialize,
  MadeBlock,
  type Module,
  placesIn,
  replacePart,
  SmoothField,
  zeroGrad,
} from '@invnet/layers';
import {
  add,
  InvNetError,
  memory,
  RandomStream,
  type Shape,
  setBackend,
  slice,
  sum,
  type Tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Row } from './row.ts';
import { contextOf, inputOf, rows } from './rows.ts';

beforeEach(() => setBackend('reference'));

/** A block that gives up. */
class Failing extends Conditioner<never> {
  static readonly type: string = 'Failing';
  readonly #uses: boolean;

  constructor({ uses }: { uses: boolean }) {
    super();
    this.#uses = uses;
  }

  get options() {
    return { uses: this.#uses };
  }

  override get usesContext(): boolean {
    return this.#uses;
  }

  protected apply(): never {
    throw new ValueError('gave up');
  }

  protected applyBackward(): never {
    throw new ValueError('gave up');
  }

  protected applyTangent(): never {
    throw new ValueError('gave up');
  }

  protected applyShape(): undefined {
    return undefined;
  }
}

/** The six methods, with arguments that fit or do not. */
interface Arguments {
  readonly state: Tensor;
  readonly result: Tensor;
  readonly gradient: Tensor;
  readonly dlogdet: Tensor;
  readonly context: Tensor | undefined;
}

const methods = {
  forward: (f: Bijection, a: Arguments) => f.forward(a.state, a.context),
  inverse: (f: Bijection, a: Arguments) => f.inverse(a.result, a.context),
  backward: (f: Bijection, a: Arguments) =>
    f.backward(a.result, a.gradient, { dlogdet: a.dlogdet, context: a.context }),
  backwardInverse: (f: Bijection, a: Arguments) =>
    f.backwardInverse(a.state, a.gradient, { dlogdet: a.dlogdet, context: a.context }),
  jvp: (f: Bijection, a: Arguments) =>
    f.jvp(a.state, { x: a.gradient, context: a.context }, a.context),
  jvpInverse: (f: Bijection, a: Arguments) =>
    f.jvpInverse(a.result, { x: a.gradient, context: a.context }, a.context),
};

/** Shapes near a right one, all wrong. */
function wrong(shape: Shape): Shape[] {
  return [
    [],
    [...shape, 1],
    shape.slice(0, -1),
    [shape[0]! + 1, ...shape.slice(1)],
    ...shape.slice(1).map((s, i) => [...shape.slice(0, i + 1), s + 1, ...shape.slice(i + 2)]),
  ].filter((s) => s.length > 0);
}

/** Does the method take the argument, and is it the only one of its shape? */
const takes: Record<keyof typeof methods, readonly (keyof Arguments)[]> = {
  forward: ['context'],
  inverse: ['context'],
  backward: ['gradient', 'dlogdet', 'context'],
  backwardInverse: ['gradient', 'dlogdet', 'context'],
  jvp: ['gradient', 'context'],
  jvpInverse: ['gradient', 'context'],
};

function argumentsOf(row: Row, f: Bijection): Arguments {
  const random = new RandomStream(5);
  const state = inputOf(row);
  const context = contextOf(row);
  const { y: result, logdet } = f.forward(state, context);
  logdet.dispose();
  return {
    state,
    result,
    gradient: random.normal(result.shape),
    dlogdet: random.normal([row.shape[0]!]),
    context,
  };
}

/** Everything that is there, after gradients were cleared. */
function live(f: Module): string {
  zeroGrad(f.parameters);
  const { liveBytes, tensors } = memory();
  return `${tensors} tensors, ${liveBytes} bytes`;
}

describe.each(rows)('$name', (row) => {
  it('refuses wrong shapes of what goes with a state, and a context that nothing uses', async () => {
    const f = row.make();
    await initialize(f, inputOf(row), { context: contextOf(row) });
    const right = argumentsOf(row, f);
    const random = new RandomStream(6);
    const accepted: string[] = [];
    for (const [name, method] of Object.entries(methods)) {
      // Gradients of backwardInverse and directions of jvp have the shape of x.
      const towards = ['backwardInverse', 'jvp'].includes(name) ? right.state : right.result;
      const fitting = { ...right, gradient: towards };
      const before = live(f);
      const call = (changed: Partial<Arguments>) =>
        method(f, { ...fitting, ...changed } as Arguments);
      for (const argument of takes[name as keyof typeof methods]) {
        const like = fitting[argument];
        const shapes = like ? wrong(like.shape) : [[1], [row.shape[0]!, 2], row.shape];
        for (const shape of shapes) {
          // A context of a kind that the summary takes as well is no error.
          if (argument === 'context' && like && shape[0] === like.shape[0]) continue;
          const bad = random.normal(shape);
          try {
            for (const t of Object.values(call({ [argument]: bad }))) (t as Tensor).dispose();
            accepted.push(`${name}: ${argument} [${shape.join(', ')}]`);
          } catch (error) {
            expect(error).toBeInstanceOf(InvNetError);
          }
          bad.dispose();
          expect(live(f), `${name} ${argument} [${shape.join(', ')}]`).toBe(before);
        }
      }
    }
    expect(accepted).toEqual([]);
  });

  it('gives the shapes that it declares, and refuses states that it declares not to take', () => {
    const f = row.make();
    const context = contextOf(row);
    const before = live(f);
    for (const shape of [row.shape, ...wrong(row.shape)]) {
      const x = new RandomStream(1).uniform(shape, 0.1, 0.9);
      const dlogdet = new RandomStream(1).normal([shape[0]!]);
      const declared = declaredShape(f, shape);
      if (!declared) {
        const a = { state: x, result: x, gradient: x, dlogdet, context };
        for (const name of ['forward', 'backwardInverse', 'jvp'] as const) {
          expect(() => methods[name](f, a), `${name} [${shape.join(', ')}]`).toThrow(InvNetError);
        }
      } else if (!context || shape === row.shape) {
        const { y, logdet } = f.forward(x, context);
        expect([y.shape, f.inputShape(y.shape)]).toEqual([declared, shape]);
        y.dispose();
        logdet.dispose();
      }
      x.dispose();
      dlogdet.dispose();
    }
    expect(live(f)).toBe(before);
  });

  it('leaves nothing behind when a conditioner in it throws, and says where', async () => {
    const f = row.make();
    const right = argumentsOf(row, f);
    const own = [MadeBlock, SmoothField];
    const paths = [...placesIn(f)].flatMap(({ path, module, holder }) =>
      // These places take no other conditioner.
      module instanceof Conditioner && holder && !own.some((type) => module instanceof type)
        ? [{ path, uses: module.usesContext }]
        : [],
    );
    const outermost = paths.filter(({ path }, i) => paths.findIndex((p) => p.path === path) === i);
    for (const { path, uses } of outermost) {
      const failing = replacePart(f, path, new Failing({ uses }));
      const before = live(failing);
      for (const [name, method] of Object.entries(methods)) {
        const gradient = ['backwardInverse', 'jvp'].includes(name) ? right.state : right.result;
        try {
          method(failing, { ...right, gradient });
          expect.unreachable(`${name} did not throw`);
        } catch (error) {
          expect((error as Error).message).toContain('gave up');
          expect((error as Error).message).toContain(path);
        }
        expect(live(failing), `${name}, failing at ${path}`).toBe(before);
      }
      failing.dispose();
    }
  });
});

describe.each(rows.filter((row) => row.context))('$name', (row) => {
  it('takes one context for all samples as one for each', () => {
    const f = row.make();
    const { state, result, dlogdet, context } = argumentsOf(row, f);
    const one = slice(context!, 0, 0, 1);
    const each = add(zeros(context!.shape), one);
    const of = (c: Tensor) => {
      zeroGrad(f.parameters);
      const a = { state, result, gradient: result, dlogdet, context: c };
      const { dcontext, ...back } = methods.backward(f, a);
      const summed = dcontext && sum(dcontext, { axes: [0], keepDims: true });
      const others = [methods.forward(f, a), methods.inverse(f, a), methods.jvp(f, a), back];
      const gradients = f.parameters.map((p) => p.grad);
      return [...others.flatMap((r) => Object.values<Tensor>(r)), summed, ...gradients].map((t) =>
        t?.dataSync(),
      );
    };
    expect(of(one)).toEqual(of(each));
  });
});

/** The declared shape of the result; undefined for one that is refused. */
function declaredShape(f: Bijection, shape: Shape): Shape | undefined {
  try {
    return f.outputShape(shape);
  } catch (error) {
    expect(error).toBeInstanceOf(InvNetError);
    return undefined;
  }
}
