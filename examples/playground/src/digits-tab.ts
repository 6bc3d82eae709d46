/** The tab of digits: its controls, and the picture of what was sampled. */
import type { Reply, Request } from './protocol.ts';

const gap = 4;

/** Wires the tabs and the form; `send` reaches the worker. */
export function setUpDigits(send: (request: Request) => void): void {
  const tabs = [...document.querySelectorAll<HTMLButtonElement>('[role=tab]')];
  for (const tab of tabs) {
    tab.addEventListener('click', () => {
      for (const other of tabs) {
        other.setAttribute('aria-selected', String(other === tab));
        document.getElementById(other.getAttribute('aria-controls')!)!.hidden = other !== tab;
      }
    });
  }
  const file = document.querySelector<HTMLInputElement>('#digit-file')!;
  const temperature = document.querySelector<HTMLInputElement>('#temperature')!;
  const message = document.getElementById('digit-message')!;
  let seed = 1;
  const sample = async () => {
    const [chosen] = file.files ?? [];
    message.textContent = chosen ? '' : 'Choose a model file first.';
    if (!chosen) return;
    const bytes = new Uint8Array(await chosen.arrayBuffer());
    send({ type: 'digits', bytes, temperature: Number(temperature.value), seed: seed++ });
  };
  temperature.addEventListener('input', () => {
    document.getElementById('temperatureValue')!.textContent = temperature.value;
  });
  file.addEventListener('change', sample);
  document.getElementById('digit-controls')!.addEventListener('submit', (event) => {
    event.preventDefault();
    void sample();
  });
}

/** Draws the images as a square of squares, each number in [0, 1] a grey. */
export function drawDigits({ pixels, side, count }: Extract<Reply, { type: 'digits' }>): void {
  const canvas = document.querySelector<HTMLCanvasElement>('#digit-canvas')!;
  const across = Math.ceil(Math.sqrt(count));
  const cell = side + gap;
  canvas.width = canvas.height = across * cell;
  const pen = canvas.getContext('2d')!;
  for (let k = 0; k < count; k++) {
    const image = pen.createImageData(side, side);
    for (let i = 0; i < side * side; i++) {
      const grey = 255 * pixels[k * side * side + i]!;
      image.data.set([grey, grey, grey, 255], 4 * i);
    }
    pen.putImageData(image, (k % across) * cell + gap / 2, Math.floor(k / across) * cell + gap / 2);
  }
  canvas.dataset.drawn = String(count);
}
