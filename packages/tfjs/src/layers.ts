/**
 * Networks and flows as layers of `tf.sequential` and `tf.model`, over the functions of `toTfjs`. An entry of
 * its own: whoever has `@tensorflow/tfjs-core` alone does without layers.
 */
import { Flow } from '@invnet/flows';
import {
  type Bijection,
  type BuildOptions,
  build,
  ConfigurationError,
  describe,
  type Json,
  namedBuffers,
  TensorBuffer,
} from '@invnet/layers';
import {
  formatValue,
  requireList,
  requireOneOf,
  requireOptions,
  requireRecord,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import {
  reshape,
  type serialization as Serialization,
  serialization,
  type Tensor,
  tidy,
  Variable,
} from '@tensorflow/tfjs-core';
import { LayerVariable, layers, type Shape } from '@tensorflow/tfjs-layers';
import { type MakeVariable, networkOf, TfjsBijection, TfjsFlow } from './to-tfjs.ts';

type LayerArgs = NonNullable<ConstructorParameters<typeof layers.Layer>[0]>;

const outputs = ['y', 'both', 'logProb'] as const;

/** Options of `InvNetLayer`, beside those of every layer of tfjs. */
export interface InvNetLayerOptions extends LayerArgs {
  /** What the layer computes. */
  readonly map: Bijection | Flow;
  /**
   * `y` alone; `both`, y and the log-determinant [N, 1]; or a flow's `logProb`, [N, 1]. Default:
   * `logProb` of a flow, and `y` otherwise.
   */
  readonly output?: (typeof outputs)[number];
}

const ofEveryLayer = [
  'inputShape',
  'batchInputShape',
  'batchSize',
  'dtype',
  'name',
  'trainable',
  'weights',
];

/**
 * A network or a flow as a layer of tfjs: `model.fit` trains its parameters, which are the layer's weights.
 * Given two inputs, the second is the context.
 *
 * Parameters that are frozen when the layer is built are weights that are not trained. As with `toTfjs`, the
 * weights are the truth: `pull` brings the network up to date with them, `push` the other way.
 *
 * @throws ValueError for options of another name or kind.
 * @example
 * const flow = new Flow({ network: new Glow({ channels: 2, ndims: 0, scales: 1, steps: 4 }) });
 * const model = tf.sequential({ layers: [new InvNetLayer({ map: flow, inputShape: [2] })] });
 * model.compile({ optimizer: 'adam', loss: (_, logProb) => tf.neg(tf.mean(logProb)) });
 * await model.fit(x, tf.zeros([x.shape[0], 1]));
 */
export class InvNetLayer extends layers.Layer {
  static readonly className: string = 'InvNetLayer';
  readonly map: Bijection | Flow;
  readonly #output: (typeof outputs)[number];
  #host: TfjsBijection | TfjsFlow | undefined;

  constructor(options: InvNetLayerOptions) {
    requireOptions('InvNetLayer', options, ['map', 'output', ...ofEveryLayer]);
    const { map, output = map instanceof Flow ? 'logProb' : 'y', ...args } = options;
    requireOneOf('InvNetLayer', 'output', output, outputs);
    networkOf('InvNetLayer', map);
    super(args);
    if (output === 'logProb' && !(map instanceof Flow)) {
      throw new ValueError(
        `InvNetLayer: map is ${formatValue(map)}; expected a Flow for output 'logProb'.`,
      );
    }
    this.map = map;
    this.#output = output;
  }

  /** Brings the network's parameters up to date with the weights. */
  pull(): void {
    this.#host?.pull();
  }

  /** Brings the weights up to date with the network's parameters, after those were changed on its side. */
  push(): void {
    this.#host?.push();
  }

  override build(inputShape: Shape | Shape[]): void {
    const weights: LayerVariable[] = [];
    const make: MakeVariable = (start, p) => {
      const weight = new LayerVariable(start, 'float32', p.name, !p.frozen);
      weights.push(weight);
      const variable = weight.read();
      if (variable instanceof Variable) return variable;
      throw new ValueError(
        `InvNetLayer: the weight is ${formatValue(variable)}; expected a variable.`,
      );
    };
    const { map } = this;
    this.#host = map instanceof Flow ? new TfjsFlow(map, make) : new TfjsBijection(map, make);
    this.trainableWeights = weights;
    super.build(inputShape);
  }

  override call(inputs: Tensor | Tensor[], kwargs: Parameters<layers.Layer['call']>[1]) {
    this.invokeCallHook(inputs, kwargs);
    const host = this.#host;
    const [x, context] = Array.isArray(inputs) ? inputs : [inputs];
    if (!host || !x) throw new ValueError('InvNetLayer: it is not built; expected apply(x).');
    return tidy((): Tensor | Tensor[] => {
      if (this.#output === 'logProb' && host instanceof TfjsFlow) {
        return reshape(host.logProb(x, context), [-1, 1]);
      }
      const { y, logdet } = host.forward(x, context);
      return this.#output === 'both' ? [y, reshape(logdet, [-1, 1])] : y;
    });
  }

  override computeOutputShape(inputShape: Shape | Shape[]): Shape | Shape[] {
    const [samples, ...sizes] = isList(inputShape) ? inputShape[0]! : inputShape;
    const known = sizes.flatMap((size) => (size === null ? [] : [size]));
    if (known.length < sizes.length) {
      throw new ShapeError(
        `InvNetLayer: the input is [${[samples, ...sizes].map((s) => s ?? 'any').join(', ')}]; expected all sizes ` +
          'but the first to be known.',
      );
    }
    const each: Shape = [samples ?? null, 1];
    const [, ...rest] = this.map.outputShape([samples ?? 1, ...known]);
    if (this.#output === 'logProb') return each;
    const y: Shape = [samples ?? null, ...rest];
    return this.#output === 'both' ? [y, each] : y;
  }

  /**
   * The network's configuration, with which `registerInvNetLayer` builds it again.
   *
   * @throws ConfigurationError for one that cannot be described, or that remembers numbers beside its
   * parameters, as BatchNorm does: `saveModel` of `@invnet/train` saves those.
   */
  override getConfig(): Serialization.ConfigDict {
    const { map } = this;
    const remembered = [...namedBuffers(map)].find(([, b]) => b instanceof TensorBuffer);
    if (remembered) {
      throw new ConfigurationError(
        `InvNetLayer: '${remembered[0]}' is no weight, so tfjs would not save it; expected a network without, or ` +
          'saveModel of @invnet/train.',
      );
    }
    const frozen = map.parameters.filter((p) => p.frozen).map((p) => p.name);
    // As text, since tfjs changes names within objects.
    return {
      ...super.getConfig(),
      map: JSON.stringify({ config: describe(map), frozen }),
      output: this.#output,
    };
  }

  protected override disposeWeights(): number {
    const { length } = this.weights;
    this.#host?.dispose();
    return length;
  }
}

/**
 * Tells tfjs how to load models with such layers, as `tf.loadLayersModel` does: with which types their
 * networks are built. Nothing is registered but by this call.
 *
 * @throws ValueError for options of another name.
 * @example registerInvNetLayer({ modules: flowCatalogue });
 */
export function registerInvNetLayer(options: Pick<BuildOptions, 'modules' | 'named'>): void {
  requireOptions('registerInvNetLayer', options, ['modules', 'named']);
  const { modules, named = {} } = options;
  requireList(
    'registerInvNetLayer',
    'modules',
    modules,
    'a list of classes, such as flowCatalogue',
  );
  requireRecord('registerInvNetLayer', 'named', named, "{ 'a name': () => …, … }");
  serialization.registerClass(
    class extends InvNetLayer {
      static override fromConfig<T extends Serialization.Serializable>(
        cls: Serialization.SerializableConstructor<T>,
        { map, customObjects: _, ...args }: Serialization.ConfigDict,
      ): T {
        const { config, frozen } = savedMap(map);
        const network = build(config, { modules, named });
        for (const p of network.parameters) p.frozen = frozen.includes(p.name);
        return new cls({ ...args, map: network });
      }
    },
  );
}

/** What `getConfig` wrote of the map. @throws ConfigurationError for anything else. */
function savedMap(map: unknown): { readonly config: Json; readonly frozen: readonly Json[] } {
  let found: Json = null;
  try {
    found = JSON.parse(String(map));
  } catch {
    // Told of below.
  }
  if (typeof found === 'object' && found !== null && 'config' in found) {
    const { config, frozen } = found;
    if (config !== undefined && Array.isArray(frozen)) return { config, frozen };
  }
  throw new ConfigurationError(
    `InvNetLayer: the map of a saved layer is ${formatValue(map)}; expected what its getConfig() wrote.`,
  );
}

function isList(shape: Shape | Shape[]): shape is Shape[] {
  return Array.isArray(shape[0]);
}
