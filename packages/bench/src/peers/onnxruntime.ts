/** onnxruntime's native CPU library, which runs forward operators only. */
import { loadPeers } from './install.ts';
import { type OnnxOperator, onnxModel } from './onnx-model.ts';
import { type Numbers, type Operation, operationNames, type Peer, type Wanted } from './peer.ts';

/** What is used of onnxruntime-node. */
interface Onnxruntime {
  readonly Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => unknown;
  readonly InferenceSession: {
    create(model: Uint8Array, options: { intraOpNumThreads: number }): Promise<Session>;
  };
}

interface Session {
  run(feeds: Record<string, unknown>): Promise<Record<string, { data: Float32Array }>>;
}

const version = '1.30.0';
const name = 'onnxruntime-node';

/** onnxruntime with so many threads; it has no filter gradient. */
export const onnxruntime = (threads: number): Peer => ({
  library: `onnxruntime ${version}`,
  backend: 'native, inference only',
  async load({ sizes, x, w, w1, dy, a, b }, wanted) {
    const load = await loadPeers({ [name]: version });
    const ort = load(name) as Onnxruntime;
    const names = operationNames(sizes);
    const prepare = async (
      name: string,
      [x, w]: readonly [Numbers, Numbers],
      operator: Omit<OnnxOperator, 'inputs' | 'weights'>,
    ): Promise<Operation> => {
      const operands = { inputs: [x.shape, w.shape], weights: w.values };
      const model = onnxModel({ ...operator, ...operands });
      const session = await ort.InferenceSession.create(model, { intraOpNumThreads: threads });
      const feeds = { x0: new ort.Tensor('float32', x.values, x.shape) };
      const compute = async () => (await session.run(feeds)).y!.data;
      return {
        name,
        run: async () => {
          await compute();
        },
        result: async () => [await compute()],
      };
    };
    const same = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
    const all: Partial<Record<Wanted[number], () => Promise<Operation>>> = {
      conv: () => prepare(names.conv, [x, w], { type: 'Conv', output: x.shape, attributes: same }),
      inputGrad: () =>
        prepare(names.inputGrad, [dy, w], {
          type: 'ConvTranspose',
          output: x.shape,
          attributes: same,
        }),
      pointwise: () => prepare(names.pointwise, [x, w1], { type: 'Conv', output: x.shape }),
      product: () => prepare(names.product, [a, b], { type: 'MatMul', output: a.shape }),
    };
    return Promise.all(wanted.flatMap((key) => all[key]?.() ?? []));
  },
});
