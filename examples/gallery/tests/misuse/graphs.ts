/** Right calls of what makes and draws graphs of modules. */
import * as api from '@invnet/layers';
import * as networks from '@invnet/networks';
import { RandomStream } from '@invnet/tensor';
import { type Call, type Calls, call, make, on } from './call.ts';
import { methodsOf } from './layers.ts';

const own = (name: string) => Reflect.get(networks, name);

/** Calls of all of them. */
export function graphCalls(): Calls {
  const r = new RandomStream(7);
  const nodes = [
    { kind: 'input', name: 'x', shape: [4] },
    { kind: 'condition', name: 'c', shape: [2] },
    { kind: 'split', name: 'halve', inputs: ['x'], sizes: [2, 2], axis: 1 },
    { kind: 'feature', name: 'f', inputs: ['c'], conditions: ['c'], module: seeing() },
    { kind: 'module', name: 'm', inputs: ['halve.0'], conditions: ['f'], module: coupling() },
    { kind: 'concat', name: 'j', inputs: ['m', 'halve.1'], axis: 1 },
    { kind: 'output', name: 'y', inputs: ['j'] },
  ];
  const net = new networks.GraphNetwork({ nodes: nodes as networks.GraphNode[] });
  const [x, c] = [r.normal([3, 4]), r.normal([3, 2])];
  const undo = () => api.zeroGrad(net.parameters);
  const parameters = new Map(net.parameters.slice(0, 1).map((p) => [p, p.data]));
  const { outputs, logdet: dlogdet } = net.forwardAll({ x }, { c });
  const options = { dlogdet, dlogdets: { y: dlogdet }, conditions: { c } };
  const back = { ...options, dlogdets: { x: dlogdet } };
  const tangent = { states: { x }, parameters, conditions: { c } };
  return {
    graph: [call(networks.graph, []), ...builderCalls()],
    GraphNetwork: [
      make(networks.GraphNetwork, [{ nodes }]),
      on(net, 'forwardAll', [{ x }, { c }]),
      on(net, 'inverseAll', [outputs, { c }], { may: ['nan'] }),
      on(net, 'backwardAll', [outputs, outputs, options], { undo, may: ['nan'] }),
      on(net, 'backwardInverseAll', [{ x }, { x }, back], { undo, may: ['nan'] }),
      on(net, 'jvpAll', [{ x }, tangent, { c }]),
      on(net, 'jvpInverseAll', [outputs, { ...tangent, states: outputs }, { c }], { may: ['nan'] }),
      on(net, 'intermediate', [{ x }, { c }]),
      on(net, 'pack', ['inputs', { x }]),
      on(net, 'unpack', ['outputs', outputs.y]),
      ...methodsOf(net, x, c),
    ],
    graphSvg: [call(own('graphSvg'), [net])],
  };
}

/** Each on a graph of its own, since a graph takes a name once. */
function builderCalls(): Call[] {
  const [layer, block] = [
    coupling(),
    new api.DenseBlock({ inChannels: 2, hidden: 2, outChannels: 2 }),
  ];
  const line = (method: string, args: readonly unknown[]): Call => ({
    name: `GraphBuilder.${method}`,
    args,
    run: (spoiled) => {
      const g = networks.graph();
      const ports: Readonly<Record<string, unknown>> = {
        x: g.input('x', [2]),
        c: g.condition('c', [2]),
      };
      // Ports are known by the graph alone, so they stand here by name.
      const one = (value: unknown) =>
        typeof value === 'string' && Object.hasOwn(ports, value) ? ports[value] : value;
      const port = (value: unknown) => (Array.isArray(value) ? value.map(one) : one(value));
      const [name, input, ...others] = spoiled;
      const given = others.map((o) =>
        typeof o === 'object' && o !== null && 'conditions' in o
          ? { ...o, conditions: port(o.conditions) }
          : o,
      );
      const reads = ['input', 'condition'].includes(method) ? input : port(input);
      Reflect.apply(Reflect.get(g, method), g, [name, reads, ...given]);
    },
  });
  return [
    line('input', ['z', [2]]),
    line('condition', ['d', [2]]),
    line('node', ['m', 'x', layer, { conditions: ['c'] }]),
    line('feature', ['f', ['c'], block, { conditions: [] }]),
    line('split', ['s', 'x', { sizes: [1, 1], axis: 1 }]),
    line('concat', ['j', ['x', 'x'], { axis: 1 }]),
    line('output', ['y', 'x']),
    {
      name: 'GraphBuilder.build',
      args: [],
      run: () => {
        const g = networks.graph();
        g.output('y', g.input('x', [2]));
        return g.build();
      },
    },
  ];
}

function coupling() {
  const sizes = { channels: 2, contextChannels: 2, hidden: 2, ndims: 0 };
  return new api.ConditionalGlowCoupling({ ...sizes, random: new RandomStream(5) });
}

/** A block that sees a context. */
function seeing() {
  return new api.WithContext(new api.DenseBlock({ inChannels: 4, hidden: 2, outChannels: 2 }), {
    contextChannels: 2,
  });
}
