/** The command line of this example. */
import { toggle, whole } from 'example-kit';

/** Its flags, beside those that all examples have. */
export const app = {
  name: 'hyperspectral',
  about:
    'Trains hyperbolic networks by invertible backpropagation to say what grows in every pixel of Indian Pines, a ' +
    'hyperspectral image: one network on pixels drawn at random, one on blocks of the image.',
  config: {
    depth: whole({ default: 10, least: 10, most: 1000, help: 'layers of a network' }),
    channels: whole({ most: 512, help: 'channels of each state (default 32, with --volume 2)' }),
    hidden: whole({ most: 1024, help: 'channels inside the layers (default: twice the channels)' }),
    volume: toggle({
      help: 'convolves along the wavelengths too, in 3D, which takes far longer: give it fewer steps',
    }),
  },
  budget: { steps: 500, learningRate: 5e-3 },
  writes: 'classes.png, confusion.png, loss.svg, losses.csv, metrics.json and model.safetensors',
} as const;
