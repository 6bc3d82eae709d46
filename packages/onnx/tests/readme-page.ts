import { InferenceSession, Tensor } from 'onnxruntime-web';

const file = await fetch('sampler.onnx'); // exportOnnx(flow, { of: 'sample', shape: [1, 28, 28] })
const session = await InferenceSession.create(await file.arrayBuffer());
const z = Float32Array.from({ length: 16 * 784 }, normal);
const { x } = await session.run({ z: new Tensor('float32', z, [16, 1, 28, 28]) });
console.log(x!.dims); // [ 16, 1, 28, 28 ], 16 images

/** A normally distributed number (Box and Muller). */
function normal(): number {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}
