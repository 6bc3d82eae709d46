/** What the command is: its flags and their defaults. */
import { oneOf, positive, text, whole } from 'example-kit';
import { engines } from './engine.ts';

export const app = {
  name: 'seismic-unrolled',
  about:
    'Images layered earths from one shot of many sources by an unrolled loop over Born operators.',
  config: {
    size: oneOf(['96x64', '400x120'], { default: '96x64', help: 'cells across and down' }),
    iterations: whole({ default: 4, most: 64, help: 'iterations of the loop' }),
    state: whole({ default: 32, least: 2, most: 256, help: 'channels of image and memory' }),
    hidden: whole({ default: 32, most: 1024, help: 'channels within the couplings' }),
  },
  flags: {
    engine: oneOf(engines, { default: 'invnet', help: 'what computes waves' }),
    cases: whole({ default: 20, help: 'earths to test on' }),
    marmousi: text({
      placeholder: '<file>',
      help: 'velocities of your own to test on, SEG-Y or float32',
    }),
    marmousiSpacing: positive({ default: 7.5, help: 'metres between its numbers' }),
  },
  budget: { minutes: 30, learningRate: 5e-4 },
  writes:
    'images.png, gather.png, snr.png, marmousi.png (with --marmousi), loss.png, losses.csv, metrics.json and ' +
    'model.safetensors',
};
