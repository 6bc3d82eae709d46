/** A pad to draw data on. */
import { dataExtent } from './protocol.ts';

export class Pad {
  #points: number[] = [];
  readonly #canvas: HTMLCanvasElement;

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
    const draw = (event: PointerEvent) => {
      if (event.buttons === 0) return;
      const box = canvas.getBoundingClientRect();
      const u = (event.clientX - box.left) / box.width;
      const v = (event.clientY - box.top) / box.height;
      this.#points.push(dataExtent * (2 * u - 1), dataExtent * (1 - 2 * v));
      this.#draw();
    };
    canvas.addEventListener('pointerdown', draw);
    canvas.addEventListener('pointermove', draw);
  }

  /** x₁, y₁, x₂, y₂, … */
  get points(): Float32Array {
    return Float32Array.from(this.#points);
  }

  clear(): void {
    this.#points = [];
    this.#draw();
  }

  #draw(): void {
    const { width, height } = this.#canvas;
    const pen = this.#canvas.getContext('2d')!;
    pen.clearRect(0, 0, width, height);
    pen.fillStyle = getComputedStyle(this.#canvas).getPropertyValue('--warm');
    for (let i = 0; i < this.#points.length; i += 2) {
      const x = (width * (this.#points[i]! / dataExtent + 1)) / 2;
      const y = (height * (1 - this.#points[i + 1]! / dataExtent)) / 2;
      pen.beginPath();
      pen.arc(x, y, 4, 0, 2 * Math.PI);
      pen.fill();
    }
  }
}
