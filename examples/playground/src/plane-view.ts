/** The pictures of a model of the plane, and how its training goes. */
import { byId } from './dom.ts';
import { densityPlot, gridPlot, lossPlot, memoryPlot, samplesPlot } from './plots.ts';
import type { Reply, Views } from './protocol.ts';

/** The last losses are averaged for the figure. */
const averaged = 20;

export class PlaneView {
  readonly #layer = byId<HTMLInputElement>('layer');
  #losses: number[] = [];
  #views: Views | undefined;

  constructor() {
    this.#layer.addEventListener('input', () => this.#drawLattice());
    byId('direction').addEventListener('input', () => this.#drawLattice());
  }

  /** Forgets what was shown; a model may come with steps behind it. */
  clear(step = 0): void {
    this.#losses = [];
    this.#views = undefined;
    for (const id of ['density', 'samples', 'grid', 'curve', 'memory']) byId(id).replaceChildren();
    byId('loss').textContent = '–';
    this.#showStep(step);
  }

  progress({ step, losses, memory }: Extract<Reply, { type: 'progress' }>): void {
    this.#losses.push(...losses);
    const last = this.#losses.slice(-averaged);
    const loss = last.reduce((a, b) => a + b, 0) / last.length;
    byId('loss').textContent = last.length > 0 ? loss.toFixed(3) : '–';
    this.#showStep(step);
    Object.assign(byId('app').dataset, { loss, liveBytes: memory.live });
    byId('curve').replaceChildren(lossPlot(this.#losses, step));
    byId('memory').replaceChildren(memoryPlot(memory));
  }

  show(views: Views): void {
    const last = views.baseToData.length - 1;
    const first = this.#views === undefined;
    this.#views = views;
    byId('density').replaceChildren(densityPlot(views));
    byId('samples').replaceChildren(samplesPlot(views));
    this.#layer.max = String(last);
    if (first) this.#layer.value = String(last);
    this.#drawLattice();
  }

  #drawLattice(): void {
    byId('layerValue').textContent = this.#layer.value;
    const direction = byId<HTMLSelectElement>('direction').value as 'baseToData' | 'dataToBase';
    const points = this.#views?.[direction][Number(this.#layer.value)];
    if (points) byId('grid').replaceChildren(gridPlot(points, this.#views!.extent));
  }

  #showStep(step: number): void {
    byId('step').textContent = String(step);
    byId('app').dataset.step = String(step);
  }
}
