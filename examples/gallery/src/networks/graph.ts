/**
 * A conditional network as a graph: two colours for a grey image, as FrEIA's tutorial has it. A feature of the grey
 * image goes to two scales; at the second, half of the channels have left already.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { Flow } from '@invnet/flows';
import {
  asConditioner,
  ConditionalGlowCoupling,
  Conv1x1,
  ResidualBlock,
  ShuffleSqueeze,
} from '@invnet/layers';
import { type ConditionPort, graph, graphSvg, type StatePort } from '@invnet/networks';
import { add, concat, RandomStream, square } from '@invnet/tensor';
import { report } from '../check.ts';
import { maximizeLikelihood } from '../train.ts';

const random = new RandomStream(1);
const sizes = { hidden: 16, random };
const g = graph();

/** Channels mixed, then a coupling that sees a feature. */
function step(name: string, x: StatePort, feature: ConditionPort): StatePort {
  const [channels, contextChannels] = [x.shape[0]!, feature.shape[0]!];
  const mixed = g.node(`mix ${name}`, x, new Conv1x1({ channels, random }));
  const coupling = new ConditionalGlowCoupling({ ...sizes, channels, contextChannels });
  return g.node(`couple ${name}`, mixed, coupling, { conditions: [feature] });
}

const colours = g.input('colours', [2, 8, 8]);
const grey = g.condition('grey', [1, 8, 8]);
const block = new ResidualBlock({ ...sizes, inChannels: 1, outChannels: 2 });
const fine = g.feature('feature', grey, block);
const coarse = g.feature('coarser', fine, asConditioner(new ShuffleSqueeze()));
const first = step('b', step('a', colours, fine), fine);
const squeezed = g.node('squeeze', first, new ShuffleSqueeze());
const [half, rest] = g.split('halve', squeezed, { sizes: [4, 4] });
g.output('details', half);
g.output('outline', step('d', step('c', rest, coarse), coarse));
const network = g.build();

/** Colours that follow the grey, one of them not linearly, and some noise. */
const draw = (count = 16) => {
  const context = random.normal([count, 1, 8, 8]);
  using squares = square(context);
  using noise = random.normal([count, 2, 8, 8], 0.3);
  using both = concat([context, squares], 1);
  return { x: add(both, noise), context };
};
await maximizeLikelihood(new Flow({ network }), draw, { steps: 40, learningRate: 5e-3 });

const { x, context } = draw(4);
const { outputs, logdets } = network.forwardAll({ colours: x }, { grey: context });
for (const [name, output] of Object.entries(outputs)) {
  const of = await logdets[name]!.data();
  console.log(
    `${name}: [${output.shape.join(', ')}], log-determinants of its path ${of[0]!.toFixed(2)}, …`,
  );
}
const { inputs } = network.inverseAll(outputs, { grey: context });
await report('back again', inputs.colours!, x);

await mkdir('out/gallery', { recursive: true });
await writeFile('out/gallery/graph.svg', graphSvg(network));
console.log('written: out/gallery/graph.svg');
