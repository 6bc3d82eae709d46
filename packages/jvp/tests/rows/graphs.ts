/** Rows of graphs of modules. */
import {
  BasicCoupling,
  ConditionalGlowCoupling,
  Conv1x1,
  defaultConditioner,
} from '@invnet/layers';
import { type GraphNetwork, graph } from '@invnet/networks';
import { sizeOf } from '@invnet/tensor';
import { odd, type Row, random } from '../row.ts';

/** Nodes do not know about axes; what packs their ends does. */
export function graphRows(ndims: number): Row[] {
  if (ndims === 2) return [severalEnds(ndims)];
  if (ndims !== 0) return [];
  const oneToOne: Row = { name: 'GraphNetwork', shape: [2, 4], context: [2, 3], make: allKinds };
  return [oneToOne, severalEnds(ndims)];
}

/** Two conditions, a feature of both for two nodes, a state and a feature of a state as conditions, a pair. */
function allKinds(): GraphNetwork {
  const sizes = { hidden: 3, ndims: 0, random: random() };
  const block = (inChannels: number) =>
    defaultConditioner({ ...sizes, inChannels, outChannels: 1 });
  const bend = (contextChannels: number) =>
    new ConditionalGlowCoupling({ ...sizes, channels: 2, contextChannels });
  const g = graph();
  const x = g.input('x', [4]);
  const [c, d] = [g.condition('c', [1]), g.condition('d', [2])];
  const both = g.feature('both', [c, d], block(3));
  const mixed = g.node('mix', x, new Conv1x1({ channels: 4, random: random() }));
  const [a, b] = g.split('part', mixed, { sizes: [2, 2] });
  const coupling = new BasicCoupling({ ...sizes, channels: [2, 2], contextChannels: 1 });
  const [u, v] = g.node('couple', [a, b], coupling, { conditions: [both] });
  const w = g.node('bend', v, bend(4), { conditions: [c, u, both] });
  const seen = g.feature('seen', u, block(2));
  const z = g.node('again', w, bend(1), { conditions: [seen] });
  g.output('y', g.concat('join', [u, z]));
  return g.build();
}

/** Two inputs, three outputs, a feature, and a state as a condition. */
function severalEnds(ndims: number): Row {
  const size = odd(ndims);
  const make = () => {
    const sizes = { hidden: 3, ndims, random: random() };
    const g = graph();
    const [x, z] = [g.input('x', [2, ...size]), g.input('z', [2, ...size])];
    const c = g.condition('c', [1, ...size]);
    const block = defaultConditioner({ ...sizes, inChannels: 1, outChannels: 1 });
    const seen = g.feature('seen', c, block);
    const coupling = new BasicCoupling({ ...sizes, channels: [2, 2], contextChannels: 1 });
    const [u, v] = g.node('couple', [x, z], coupling, { conditions: [seen] });
    const bend = new ConditionalGlowCoupling({ ...sizes, channels: 2, contextChannels: 2 });
    const bent = g.node('bend', v, bend, { conditions: [u] });
    const [first, second] = g.split('halve', u, { sizes: [1, 1] });
    g.output('third', bent);
    g.output('first', first);
    g.output('second', second);
    return g.build();
  };
  return {
    name: 'GraphNetwork of several ends',
    shape: [2, 4 * sizeOf(size)],
    context: [2, 1, ...size],
    make,
  };
}
