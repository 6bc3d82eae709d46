/** The page: controls, pictures, and the worker that they talk to. */
import { missingBackends } from './backends.ts';
import { drawDigits, setUpDigits } from './digits-tab.ts';
import { networks } from './networks.ts';
import { Pad } from './pad.ts';
import { densityPlot, gridPlot, lossPlot, memoryPlot, samplesPlot, show } from './plots.ts';
import type { BackendName, Config, DensityName, Reply, Request, Views } from './protocol.ts';

const app = byId('app');
const controls = byId<HTMLFormElement>('controls');
const query = new URLSearchParams(location.search);
const pad = new Pad(document.querySelector<HTMLCanvasElement>('#pad canvas')!);
const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });

let losses: number[] = [];
let views: Views | undefined;
let importing = false;

const send = (request: Request) => worker.postMessage(request);

worker.onmessage = ({ data }: MessageEvent<Reply>) => receive(data);
worker.onerror = ({ message }) => fail(message);

function receive(reply: Reply): void {
  switch (reply.type) {
    case 'running':
      byId('adapter').textContent = reply.adapter;
      setStatus('running');
      return;
    case 'progress': {
      losses.push(...reply.losses);
      const last = losses.slice(-20);
      const loss = last.reduce((a, b) => a + b, 0) / last.length;
      byId('step').textContent = String(reply.step);
      byId('loss').textContent = last.length > 0 ? loss.toFixed(3) : '–';
      Object.assign(app.dataset, { step: reply.step, loss, liveBytes: reply.memory.live });
      show('curve', lossPlot(losses));
      show('memory', memoryPlot(reply.memory));
      return;
    }
    case 'views':
      views = reply.views;
      show('density', densityPlot(views.density, views.data));
      show('samples', samplesPlot(views.samples));
      drawGrid();
      return;
    case 'paused':
      setStatus('paused');
      return;
    case 'lost':
      say(`The GPU device was lost; training went on from step ${reply.step}.`);
      return;
    case 'exported':
      download(reply.bytes);
      return;
    case 'imported':
      apply(reply.config);
      losses = [];
      importing = true;
      setStatus('imported');
      say('The model is loaded; Start trains it further.');
      return;
    case 'digits':
      drawDigits(reply);
      return;
    case 'error':
      fail(reply.message);
  }
}

function start(): void {
  say('');
  const steps = query.get('steps');
  if (!importing && app.dataset.status === 'idle') losses = [];
  importing = false;
  setStatus('starting');
  send({
    type: 'start',
    config: chosen(),
    points: pad.points,
    ...(steps !== null && { steps: Number(steps) }),
  });
}

function chosen(): Config {
  const value = (name: string) => field(name).value;
  return {
    density: value('density') as DensityName,
    network: value('network'),
    depth: Number(value('depth')),
    width: Number(value('width')),
    backend: value('backend') as BackendName,
    seed: Number(query.get('seed') ?? 1),
  };
}

function apply(config: Partial<Record<keyof Config, string | number>>): void {
  for (const [name, value] of Object.entries(config)) {
    if (name !== 'seed' && name !== 'backend') field(name).value = String(value);
  }
  showChoices();
}

function reset(): void {
  send({ type: 'reset' });
  losses = [];
  views = undefined;
  importing = false;
  for (const id of ['density', 'samples', 'grid', 'curve', 'memory']) byId(id).replaceChildren();
  for (const [id, text] of [
    ['step', '0'],
    ['loss', '–'],
    ['adapter', '–'],
  ] as const) {
    byId(id).textContent = text;
  }
  app.dataset.step = '0';
  say('');
  setStatus('idle');
}

function showChoices(): void {
  const { density, depth, width } = chosen();
  byName('depthValue').value = String(depth);
  byName('widthValue').value = String(width);
  byId('pad').hidden = density !== 'drawn';
  const layer = byId<HTMLInputElement>('layer');
  layer.max = String(depth);
  layer.value = String(depth);
  drawGrid();
}

function drawGrid(): void {
  const layer = Number(byId<HTMLInputElement>('layer').value);
  byId('layerValue').textContent = String(layer);
  const direction = byId<HTMLSelectElement>('direction').value as 'baseToData' | 'dataToBase';
  const points = views?.[direction][layer];
  if (points) show('grid', gridPlot(points));
}

function setStatus(status: string): void {
  app.dataset.status = status;
  app.dataset.backend = chosen().backend;
  byId('start').textContent =
    status === 'running' || status === 'starting' ? 'Pause' : status === 'idle' ? 'Start' : 'Go on';
}

function fail(message: string): void {
  say(message);
  byId('digit-message').textContent = byId('digits').hidden ? '' : message;
  setStatus(Number(app.dataset.step) > 0 ? 'paused' : 'idle');
}

function say(message: string): void {
  byId('message').textContent = message;
}

function download(bytes: Uint8Array<ArrayBuffer>): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([bytes]));
  link.download = 'flow.safetensors';
  link.click();
  URL.revokeObjectURL(link.href);
  setStatus('paused');
}

function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

function field(name: string): HTMLInputElement | HTMLSelectElement {
  return controls.elements.namedItem(name) as HTMLInputElement | HTMLSelectElement;
}

function byName(name: string): HTMLOutputElement {
  return controls.elements.namedItem(name) as HTMLOutputElement;
}

controls.addEventListener('submit', (event) => {
  event.preventDefault();
  if (app.dataset.status === 'running') send({ type: 'pause' });
  else start();
});
controls.addEventListener('input', ({ target }) => {
  // A model is of one size and on one backend: another choice starts another.
  if (target instanceof HTMLElement && target.id !== 'import') reset();
  showChoices();
});
byId('reset').addEventListener('click', reset);
byId('export').addEventListener('click', () => send({ type: 'export' }));
byId('clear').addEventListener('click', () => pad.clear());
byId('layer').addEventListener('input', drawGrid);
byId('direction').addEventListener('input', drawGrid);
byId<HTMLInputElement>('import').addEventListener('change', async ({ currentTarget }) => {
  const input = currentTarget as HTMLInputElement;
  const [file] = input.files ?? [];
  if (!file) return;
  reset();
  send({ type: 'import', bytes: new Uint8Array(await file.arrayBuffer()) });
  input.value = '';
});

for (const [value, { label }] of Object.entries(networks)) {
  field('network').append(new Option(label, value));
}
setUpDigits(send);
for (const name of ['density', 'network', 'depth', 'width', 'backend'] as const) {
  const value = query.get(name);
  if (value !== null) field(name).value = value;
}
const missing = await missingBackends();
for (const [backend, why] of Object.entries(missing)) {
  const option = controls.querySelector<HTMLOptionElement>(`option[value="${backend}"]`)!;
  option.disabled = true;
  if (field('backend').value === backend) field('backend').value = 'wasm';
  byId('note').textContent += `${why} `;
}
showChoices();
setStatus('idle');
app.dataset.ready = 'true';
if (query.has('autostart')) start();
