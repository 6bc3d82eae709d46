/** Sampled images: the controls, and the picture. */
import { byId } from './dom.ts';
import type { ImageShape, Images } from './protocol.ts';

const gap = 4;
/** A few numbers may lie beyond what becomes black and white. */
const outside = 0.01;

/** What is to be sampled. */
export interface Wish {
  readonly shape: ImageShape;
  readonly temperature: number;
  readonly seed: number;
}

export class ImageView {
  readonly #ask: (wish: Wish) => void;
  readonly #size = byId<HTMLSelectElement>('image-size');
  readonly #temperature = byId<HTMLInputElement>('temperature');
  #shapes: readonly ImageShape[] = [];
  #seed = 1;
  #waiting = false;
  #changed = false;

  /** `ask` has images sampled, which `draw` then gets, or `failed` is called. */
  constructor(ask: (wish: Wish) => void) {
    this.#ask = ask;
    this.#temperature.addEventListener('input', () => {
      byId('temperatureValue').textContent = this.#temperature.value;
      this.#sample();
    });
    this.#size.addEventListener('input', () => this.#sample());
    byId('image-controls').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#seed += 1;
      this.#sample();
    });
  }

  /** Shows a model of images of these shapes. */
  open(shapes: readonly ImageShape[]): void {
    this.#shapes = shapes;
    const options = shapes.map(
      ([channels, height, width], i) =>
        new Option(`${height} × ${width}, ${channels === 1 ? 'grey' : 'colour'}`, String(i)),
    );
    this.#size.replaceChildren(...options);
    delete byId('image-canvas').dataset.drawn;
    this.failed();
    this.#sample();
  }

  /** Draws the images as a square of squares. */
  draw({ pixels, shape: [channels, height, width], count }: Images): void {
    const canvas = byId<HTMLCanvasElement>('image-canvas');
    const across = Math.ceil(Math.sqrt(count));
    canvas.width = across * (width + gap);
    canvas.height = Math.ceil(count / across) * (height + gap);
    const pen = canvas.getContext('2d')!;
    const { low, high } = rangeOf(pixels);
    const area = height * width;
    for (let k = 0; k < count; k++) {
      const image = pen.createImageData(width, height);
      for (let i = 0; i < area; i++) {
        const of = (c: number) =>
          (255 * (pixels[(k * channels + c) * area + i]! - low)) / (high - low);
        const [red, green, blue] = channels === 3 ? [of(0), of(1), of(2)] : Array(3).fill(of(0));
        image.data.set([red, green, blue, 255], 4 * i);
      }
      const [column, row] = [k % across, Math.floor(k / across)];
      pen.putImageData(image, column * (width + gap) + gap / 2, row * (height + gap) + gap / 2);
    }
    canvas.dataset.drawn = String(count);
    this.#waiting = false;
    if (this.#changed) this.#sample();
  }

  failed(): void {
    this.#waiting = false;
    this.#changed = false;
  }

  /** Asks for images; while some are on the way, once more behind them. */
  #sample(): void {
    this.#changed = this.#waiting;
    const shape = this.#shapes[Number(this.#size.value)];
    if (this.#waiting || !shape) return;
    this.#waiting = true;
    this.#ask({ shape, temperature: Number(this.#temperature.value), seed: this.#seed });
  }
}

/** What becomes black and white: 0 and 1, where images are of these, otherwise what there is. */
function rangeOf(pixels: Float32Array): { low: number; high: number } {
  const sorted = pixels.filter(Number.isFinite).sort();
  const at = (part: number) => sorted[Math.round(part * (sorted.length - 1))] ?? 0;
  return { low: Math.min(0, at(outside)), high: Math.max(1, at(1 - outside)) };
}
