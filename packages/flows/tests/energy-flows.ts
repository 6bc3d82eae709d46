/** Flows of two numbers, energies, and what tests of objectives read from tensors. */
import { banana, funnel } from '@invnet/datasets';
import {
  ActNorm,
  AffineTransformer,
  Autoregressive,
  addVectors,
  ConditionalTransform,
  expClamp,
  RationalQuadraticSpline,
  Sequential,
  TransformerCoupling,
  tanh,
} from '@invnet/layers';
import { RandomStream, type Tensor } from '@invnet/tensor';
import { ConditionalNormal, type Energy, energyOf, Flow, Normal } from '../src/index.ts';

const spline = () => new RationalQuadraticSpline({ bins: 5, bound: 3 });
export const affineMap = () => new AffineTransformer({ scaleFunction: expClamp() });

/** Flows of [N, 2], off their start. */
export const flows: Record<string, () => Flow> = {
  couplings: () => {
    const random = new RandomStream(1);
    const sizes = { channels: 2, hidden: 4, ndims: 0, random } as const;
    const layers = [
      new ActNorm({ channels: 2 }),
      new TransformerCoupling({ ...sizes, transformer: spline(), moves: 'first' }),
      new TransformerCoupling({ ...sizes, transformer: affineMap(), moves: 'second' }),
    ];
    return scattered(new Flow({ network: new Sequential(layers) }));
  },
  'autoregressive layers': () => {
    const sizes = { channels: 2, hidden: [5], activation: tanh(), random: new RandomStream(2) };
    const layers = [
      new Autoregressive({ ...sizes, transformer: affineMap() }),
      new Autoregressive({ ...sizes, transformer: spline(), order: 'reversed' }),
    ];
    return scattered(new Flow({ network: new Sequential(layers) }));
  },
  'a layer over a trained base': () => {
    const base = new Normal({ channels: 2, mean: [0.3, -0.2], deviation: [0.8, 1.3] });
    const transformer = affineMap();
    const sizes = { channels: 2, hidden: 4, ndims: 0, random: new RandomStream(6) };
    return scattered(
      new Flow({ network: new TransformerCoupling({ ...sizes, transformer }), base }),
    );
  },
  'a layer over a base by the context': () => {
    const random = new RandomStream(7);
    const base = new ConditionalNormal({
      channels: 2,
      contextChannels: 3,
      hidden: 4,
      ndims: 0,
      random,
    });
    const sizes = { channels: 2, hidden: 4, ndims: 0, random };
    return scattered(
      new Flow({ network: new TransformerCoupling({ ...sizes, transformer: affineMap() }), base }),
    );
  },
  'a transform by the context': () => {
    const sizes = { channels: 2, contextChannels: 3, ndims: 0, hidden: 4 };
    const random = new RandomStream(3);
    const network = new ConditionalTransform({ ...sizes, transformer: affineMap(), random });
    return scattered(new Flow({ network }));
  },
};

function scattered(flow: Flow): Flow {
  const random = new RandomStream(17);
  for (const p of flow.parameters) {
    using delta = random.normal(p.shape, 0.3);
    for (const t of addVectors([p.data], [delta])) {
      p.assign(t);
      t.dispose();
    }
  }
  return flow;
}

export const contextOf = (flow: Flow) =>
  flow.usesContext ? new RandomStream(9).normal([1, 3]) : undefined;

/** The one number of a tensor, which is freed. */
export const numberOf = (t: Tensor) => {
  const [value] = t.dataSync();
  t.dispose();
  return value!;
};

export const energies: Record<string, Energy> = {
  banana: energyOf(banana()),
  funnel: energyOf(funnel({ deviation: 1 })),
};
