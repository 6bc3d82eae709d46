/** The lines of k-space, to be chosen with the mouse or a finger. */
import { size } from './protocol.ts';

export class LinePad {
  readonly #canvas: HTMLCanvasElement;
  #taken = new Set<number>();
  #kSpace: Float32Array = new Float32Array(size * size);

  /** `chosen` gets the lines after each stroke over the pad; there is always one. */
  constructor(canvas: HTMLCanvasElement, chosen: (lines: number[]) => void) {
    this.#canvas = canvas;
    canvas.width = size;
    canvas.height = size;
    let stroke: { readonly taking: boolean; before: number } | undefined;
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      const line = this.#lineAt(event);
      stroke = { taking: !this.#taken.has(line), before: line };
      this.#mark(line, line, stroke.taking);
    });
    canvas.addEventListener('pointermove', (event) => {
      if (!stroke) return;
      const line = this.#lineAt(event);
      this.#mark(stroke.before, line, stroke.taking);
      stroke.before = line;
    });
    const end = () => {
      if (!stroke) return;
      stroke = undefined;
      chosen(this.lines);
    };
    canvas.addEventListener('pointerup', end);
    canvas.addEventListener('pointercancel', end);
  }

  /** Ascending. */
  get lines(): number[] {
    return [...this.#taken].sort((a, b) => a - b);
  }

  /** Shows the magnitudes of all lines, those that were taken bright. */
  show(kSpace: Float32Array, lines: readonly number[]): void {
    this.#kSpace = kSpace;
    this.#taken = new Set(lines);
    this.#draw();
  }

  /** A fast stroke leaves lines out, so all between two places are marked. */
  #mark(from: number, to: number, taking: boolean): void {
    for (let line = Math.min(from, to); line <= Math.max(from, to); line++) {
      if (taking) this.#taken.add(line);
      else if (this.#taken.size > 1) this.#taken.delete(line);
    }
    this.#draw();
  }

  #lineAt({ clientY }: PointerEvent): number {
    const { top, height } = this.#canvas.getBoundingClientRect();
    return Math.max(0, Math.min(size - 1, Math.floor((size * (clientY - top)) / height)));
  }

  #draw(): void {
    const pen = this.#canvas.getContext('2d')!;
    const image = pen.createImageData(size, size);
    const largest = this.#kSpace.reduce((a, b) => Math.max(a, b), 1e-6);
    for (let i = 0; i < this.#kSpace.length; i++) {
      // Over three powers of ten, as magnitudes fall off fast from the centre.
      const level = Math.max(0, 1 + Math.log10(this.#kSpace[i]! / largest + 1e-9) / 3);
      const taken = this.#taken.has(Math.floor(i / size));
      const [red, green, blue] = taken
        ? [40 + 215 * level, 70 + 170 * level, 110 + 120 * level]
        : Array<number>(3).fill(14 + 60 * level);
      image.data.set([red!, green!, blue!, 255], 4 * i);
    }
    pen.putImageData(image, 0, 0);
  }
}
