import { Flow } from '@invnet/flows';
import { initialize } from '@invnet/layers';
import { Glow } from '@invnet/networks';
import { exportOnnx } from '@invnet/onnx';
import { RandomStream } from '@invnet/tensor';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const random = new RandomStream(1);
const network = new Glow({ channels: 1, hidden: 16, scales: 2, steps: 4, random });
await initialize(network, random.normal([16, 1, 28, 28])); // in place of training
const flow = new Flow({ network });

const bytes = await exportOnnx(flow, { of: 'logProb', shape: [1, 28, 28] }); // for a file, density.onnx

const session = await InferenceSession.create(bytes);
const x = random.normal([3, 1, 28, 28]);
const { logProb } = await session.run({ x: new Tensor('float32', await x.data(), x.shape) });
console.log(logProb!.data, await flow.logProb(x).data()); // three numbers, and the same again
