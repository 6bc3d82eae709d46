/** The tab of brain scans: lines of k-space are chosen, and what the scan leaves open is drawn as samples. */
import { panels } from '@invnet/figures';
import { byId } from '../dom.ts';
import { LinePad } from './line-pad.ts';
import {
  type BrainReply,
  type BrainRequest,
  type LineChoice,
  type Posterior,
  type Scan,
  size,
} from './protocol.ts';

/** Samples that are drawn unless one asks for more. */
const samplesAtFirst = 64;
const trainedLines = 16;

export class BrainView {
  readonly #worker: Worker;
  readonly #pad: LinePad;
  readonly #slice = byId<HTMLInputElement>('brain-slice');
  readonly #choice = byId<HTMLSelectElement>('brain-lines');
  readonly #root = byId('brain');
  #scan: Scan | undefined;
  #seed = 1;

  /** Starts the worker, which fetches the model. */
  constructor() {
    this.#worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    this.#worker.onmessage = ({ data }: MessageEvent<BrainReply>) => this.#receive(data);
    this.#worker.onerror = ({ message }) => this.#say(message);
    this.#pad = new LinePad(byId<HTMLCanvasElement>('brain-pad'), (lines) => {
      this.#choice.value = 'drawn';
      this.#ask({ lines });
    });
    this.#slice.addEventListener('change', () => this.#ask({ lines: this.#pad.lines }));
    this.#choice.addEventListener('change', () => this.#draw());
    byId('brain-controls').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#seed += 1;
      this.#draw();
    });
    byId('brain-pause').addEventListener('click', () => {
      this.#send({ type: this.#root.dataset.status === 'sampling' ? 'pause' : 'go' });
    });
    this.#draw();
  }

  /** Scans with the lines that are chosen by name. */
  #draw(): void {
    const { value } = this.#choice;
    this.#ask(value === 'drawn' ? { lines: this.#pad.lines } : { acceleration: Number(value) });
  }

  #ask(choice: LineChoice): void {
    this.#say('');
    this.#status('scanning');
    const slice = Number(this.#slice.value) - 1;
    byId<HTMLOutputElement>('brain-slice-value').value = this.#slice.value;
    this.#send({ type: 'scan', slice, choice, seed: this.#seed, samples: samplesAtFirst });
  }

  #receive(reply: BrainReply): void {
    switch (reply.type) {
      case 'scanned':
        this.#showScan(reply.scan);
        return;
      case 'samples':
        this.#showPosterior(reply.posterior);
        return;
      case 'paused':
        this.#status('paused');
        return;
      case 'error':
        this.#say(reply.message);
        this.#status('paused');
    }
  }

  #showScan(scan: Scan): void {
    this.#scan = scan;
    this.#pad.show(scan.kSpace, scan.lines);
    const { length } = scan.lines;
    byId('brain-count').textContent = `${length} of ${size}`;
    byId('brain-extrapolates').hidden = length === trainedLines;
    byId('brain-zero-filled').textContent = decibels(scan.zeroFilledPsnr);
    this.#root.dataset.count = '0';
    this.#status('sampling');
  }

  #showPosterior(posterior: Posterior): void {
    const { count, samplePsnr, meanPsnr } = posterior;
    byId('brain-samples').textContent = String(count);
    byId('brain-sample-psnr').textContent = decibels(samplePsnr);
    byId('brain-mean-psnr').textContent = decibels(meanPsnr);
    byId('brain-gap').textContent = decibels(meanPsnr - samplePsnr);
    byId('brain-exact-gap').textContent = decibels(10 * Math.log10((2 * count) / (count + 1)));
    byId('brain-figure').innerHTML = figureOf(this.#scan!, posterior).svg;
    Object.assign(this.#root.dataset, { count, samplePsnr, meanPsnr });
    this.#status(count >= samplesAtFirst ? 'done' : 'sampling');
  }

  #status(status: string): void {
    this.#root.dataset.status = status;
    const button = byId<HTMLButtonElement>('brain-pause');
    button.textContent = status === 'paused' ? 'Go on' : 'Pause';
    button.disabled = status === 'scanning' || status === 'done';
  }

  #say(message: string): void {
    byId('brain-message').textContent = message;
  }

  #send(request: BrainRequest): void {
    this.#worker.postMessage(request);
    if (request.type === 'go') this.#status('sampling');
  }
}

function figureOf({ truth, zeroFilled }: Scan, posterior: Posterior) {
  const { sample, mean, deviation, error } = posterior;
  const image = { height: size, width: size };
  // Deviation and error under one scale, for the one is to foretell the other.
  const largest = deviation.toSorted().at(-size)!;
  const scale = { palette: 'sequential' as const, range: [0, largest] as const };
  return panels(
    [
      { ...image, title: 'truth', values: truth },
      { ...image, title: 'zero-filled', values: zeroFilled },
      { ...image, title: 'a sample', values: sample },
      { ...image, title: 'mean of the samples', values: mean },
      { ...image, title: 'deviation of the samples', values: deviation, scale },
      { ...image, title: '|mean − truth|', values: error, scale },
    ],
    { columns: 3, size: 190, scale: { range: [0, 1] }, bar: false },
  );
}

function decibels(value: number): string {
  return `${value.toFixed(2)} dB`;
}
