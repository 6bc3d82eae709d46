/** The command line of this example. */
import { whole } from 'example-kit';

/** Its flags, beside those that all examples have. */
export const app = {
  name: 'revnet-mnist',
  about:
    'Trains a reversible residual network to read handwritten digits, in memory that does not grow with depth.',
  config: {
    width: whole({
      default: 16,
      least: 2,
      most: 256,
      help: 'channels at first, twice as many after each halving',
    }),
    blocks: whole({ default: 2, most: 64, help: 'reversible blocks at each resolution' }),
    batch: whole({ default: 64, most: 1024, help: 'images per training step' }),
  },
  flags: {
    images: whole({ default: 10_000, most: 10_000, help: 'test images' }),
  },
  budget: { epochs: 5, learningRate: 4e-3 },
  epochs: true,
  measure: { name: 'crossEntropy', unit: 'nats', of: (nats: number) => nats },
  writes: 'mistakes.png, confusion.png, loss.svg, losses.csv, metrics.json and model.safetensors',
} as const;
