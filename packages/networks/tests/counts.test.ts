/** How often conditioners and operators are evaluated, and what bad input is told. */
import {
  ActNorm,
  BasicCoupling,
  ChannelHalves,
  ConditionalGlowCoupling,
  Conv1x1,
  DenseBlock,
  HintCoupling,
  HyperbolicLayer,
  RecursiveCoupling,
  ResidualBlock,
  ResNet,
  reverse,
} from '@invnet/layers';
import {
  affine,
  memory,
  OutOfMemoryError,
  ones,
  RandomStream,
  ShapeError,
  setBackend,
  type Tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import {
  ConditionalGlow,
  ConditionalHint,
  Glow,
  HyperbolicNetwork,
  MultiScaleHint,
  SummarizedNetwork,
  UnrolledLoop,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

/** A dense block whose evaluations are counted. */
function dense(inChannels: number, outChannels: number) {
  const block = new DenseBlock({ inChannels, hidden: 3, outChannels });
  return { block, evaluations: vi.spyOn(block, 'forward') };
}

describe('evaluations in one backward', () => {
  it('are one per conditioner of a HINT recursion, in both directions', () => {
    const parts = [dense(1, 2), dense(1, 2), dense(2, 4)];
    const coupling = (i: number, channels: [number, number]) =>
      new BasicCoupling({ channels, conditioner: parts[i]!.block });
    const half = (i: number) => {
      const inner = coupling(i, [1, 1]);
      return new RecursiveCoupling({
        first: new ActNorm({ channels: 1 }),
        second: new ActNorm({ channels: 1 }),
        coupling: inner,
      });
    };
    // Two levels by hand, as HintCoupling builds them.
    const tree = new RecursiveCoupling({
      first: asTensorMap(half(0)),
      second: asTensorMap(half(1)),
      coupling: coupling(2, [2, 2]),
    });
    const state = [new RandomStream(1).normal([2, 2]), new RandomStream(2).normal([2, 2])] as const;
    const counts = () => parts.map(({ evaluations }) => evaluations.mock.calls.length);
    tree.backward(state, state);
    expect(counts()).toEqual([1, 1, 1]);
    tree.backwardInverse(state, state);
    expect(counts()).toEqual([2, 2, 2]);
    reverse(tree).backward(state, state);
    expect(counts()).toEqual([3, 3, 3]);
  });

  it('are one for the summary of a summarized network', () => {
    const summary = dense(3, 2);
    const net = new SummarizedNetwork({
      network: new ConditionalGlowCoupling({ channels: 2, contextChannels: 2, ndims: 0 }),
      summary: summary.block,
    });
    const [y, context] = [ones([2, 2]), ones([2, 3])];
    expect(net.backward(y, y, { context }).dcontext?.shape).toEqual([2, 3]);
    expect(summary.evaluations).toHaveBeenCalledTimes(1);
  });

  it('are F once, J once and the adjoint twice per iteration of a loop', () => {
    const calls = { forward: 0, adjoint: 0 };
    const blocks: ReturnType<typeof dense>[] = [];
    const loop = new UnrolledLoop({
      memoryChannels: 2,
      iterations: 3,
      ndims: 0,
      operator: {
        forward: (u) => {
          calls.forward += 1;
          return affine(u, 2);
        },
        adjoint: (r) => {
          calls.adjoint += 1;
          return affine(r, 2);
        },
      },
      conditioner: ({ inChannels, outChannels }) => {
        const counted = dense(inChannels, outChannels);
        blocks.push(counted);
        return counted.block;
      },
    });
    const random = new RandomStream(1);
    const [state, data] = [
      [random.normal([2, 1]), random.normal([2, 2])] as const,
      random.normal([2, 1]),
    ];
    loop.forward(state, data);
    expect(calls).toEqual({ forward: 3, adjoint: 3 });
    Object.assign(calls, { forward: 0, adjoint: 0 });
    const { dcontext } = loop.backward(state, state, { context: data });
    // For linear operators J is forward.
    expect(calls).toEqual({ forward: 6, adjoint: 6 });
    expect(blocks.map(({ evaluations }) => evaluations.mock.calls.length)).toEqual([2, 2, 2]);
    expect(dcontext?.shape).toEqual([2, 1]);
  });
});

describe('bad input is told what was expected', () => {
  it('by networks on data of another rank', () => {
    const net = new Glow({ channels: 6, hidden: 2, steps: 1 });
    expect(() => net.forward(zeros([4, 6]))).toThrow(/got \[4, 6\].*ndims: 0/);
    expect(() => net.forward(zeros([4, 6, 8]))).toThrow(/ndims: 1/);
    expect(() => net.forward(zeros([4, 6, 5, 5]))).not.toThrow(/ndims/);
  });

  it('by counts and sizes without an end, at once', () => {
    const { liveBytes, tensors } = memory();
    const glow = (options: object) => () => new Glow({ channels: 2, ...options });
    expect(glow({ scales: 50 })).toThrow(/scales is 50; expected a whole number from 1 to 16/);
    expect(glow({ steps: 1e9 })).toThrow(/steps is 1000000000; .* from 1 to 4096/);
    expect(glow({ ndims: 2 ** 31 })).toThrow(/ndims is 2147483648; .* from 0 to 3/);
    expect(glow({ hidden: 1e6 })).toThrow(OutOfMemoryError);
    expect(glow({ hidden: 2 ** 52 })).toThrow(OutOfMemoryError);
    const block = { inChannels: 1, hidden: 1, outChannels: 1 };
    expect(() => new ResNet({ ...block, blocks: 2 ** 31 })).toThrow(/blocks is/);
    expect(() => new ResidualBlock({ ...block, kernel1: 2 ** 31 + 1 })).toThrow(/kernel1 is/);
    expect(() => new ResidualBlock({ ...block, ndims: 2 ** 31 })).toThrow(/ndims is/);
    expect(() => new Conv1x1({ channels: 1e5, parametrization: 'plu' })).toThrow(/from 1 to 4096/);
    expect(memory()).toMatchObject({ liveBytes, tensors });
  });

  const twice = { forward: (u: Tensor) => affine(u, 2), adjoint: (r: Tensor) => affine(r, 2) };

  it('by recursions', () => {
    expect(() => new HintCoupling({ channels: 1 })).toThrow(/at least 2/);
    expect(() => new HintCoupling({ channels: 6, depth: 3 })).toThrow(/at most 2/);
    expect(() => new HintCoupling({ channels: 6, depth: 2, shared: true })).toThrow(
      /6 channels cannot be halved 2 times.*multiple of 4/,
    );
    // @ts-expect-error: not a permutation.
    expect(() => new HintCoupling({ channels: 4, permute: 'some' })).toThrow(
      /'none', 'lower', 'both'/,
    );
    expect(() => new MultiScaleHint({ channels: 1, steps: 0 })).toThrow(ValueError);
    expect(() => new ConditionalHint({ channels: 2, steps: 0 })).toThrow(/steps is 0/);
  });

  it('by hyperbolic networks', () => {
    expect(() => new HyperbolicLayer({ channels: 6, resolution: 'double' })).toThrow(
      /multiple of 4/,
    );
    expect(() => new HyperbolicNetwork({ channels: 4, architecture: [] })).toThrow(/at least one/);
    // @ts-expect-error: not a change of resolution.
    expect(() => new HyperbolicLayer({ channels: 4, resolution: 'up' })).toThrow(/'keep', 'halve'/);
  });

  it('by contexts', () => {
    const net = new ConditionalGlow({
      channels: 1,
      contextChannels: 2,
      scales: 1,
      steps: 1,
      hidden: 2,
    });
    const x = zeros([2, 1, 4, 4]);
    expect(() => net.forward(x)).toThrow(/expected a context, got none/);
    expect(() => net.forward(x, ones([2, 3, 4, 4]))).toThrow(ShapeError);
    expect(() => net.forward(x, ones([3, 2, 4, 4]))).toThrow(/same batch size, 2/);
    expect(() => net.forward(x, ones([2, 2, 8, 8]))).toThrow(/same batch size and resolution/);
    const [one, two] = [ones([1, 2, 4, 4]), ones([2, 2, 4, 4])].map((c) => net.forward(x, c));
    expect(one!.y.dataSync()).toEqual(two!.y.dataSync());
  });

  it('by tangents', () => {
    const norm = new ActNorm({ channels: 2 });
    const x = ones([3, 2]);
    expect(() => norm.jvp(x, { x: ones([3, 1]) })).toThrow(
      /ActNorm\.jvp: the tangent of the argument is \[3, 1\]; expected \[3, 2\]/,
    );
    const parameters = new Map([[norm.scale, ones([1])]]);
    expect(() => norm.jvpInverse(x, { parameters })).toThrow(
      /ActNorm\.jvpInverse: the tangent of 'scale' is \[1\]; expected \[2\]/,
    );
    const net = new ConditionalGlow({
      channels: 2,
      contextChannels: 1,
      ndims: 0,
      scales: 1,
      steps: 1,
    });
    const c = ones([3, 1]);
    expect(() => net.jvp(x, { context: ones([3, 2]) }, c)).toThrow(ShapeError);
    expect(() => net.jvp(x, { x: ones([1, 2]) }, c)).toThrow(ShapeError);
  });

  it('by unrolled loops', () => {
    const options = { memoryChannels: 2, iterations: 1, ndims: 0, hidden: 2 };
    const state = [ones([2, 1]), ones([2, 2])] as const;
    const loop = new UnrolledLoop({ ...options, operator: twice });
    expect(() => loop.forward(state)).toThrow(/expected the data as context/);
    expect(() => loop.forward(state, ones([2, 3]))).toThrow(
      /forward returned \[2, 1\]; expected \[2, 3\]/,
    );
    const crooked = { forward: twice.forward, adjoint: () => ones([2, 5]) };
    const broken = new UnrolledLoop({ ...options, operator: crooked });
    expect(() => broken.forward(state, ones([2, 1]))).toThrow(/adjoint returned \[2, 5\]/);
    expect(() => new UnrolledLoop({ ...options, channels: 3, operator: twice })).toThrow(
      /outChannels is 2; .* of at least 3/,
    );
    const curved = {
      forward: twice.forward,
      jvp: (_: Tensor, du: Tensor) => affine(du, 2),
      vjp: (_: Tensor, r: Tensor) => affine(r, 2),
    };
    const nonlinear = new UnrolledLoop({ ...options, operator: curved });
    const { y } = nonlinear.forward(state, ones([2, 1]));
    expect(() => nonlinear.backward(y, y, { context: ones([2, 1]) })).toThrow(/needs hvp/);
  });
});

/** A bijection of pairs of single numbers as one of [N, 2]. */
function asTensorMap(inner: RecursiveCoupling): ChannelHalves {
  return new ChannelHalves(inner, [1, 1]);
}
