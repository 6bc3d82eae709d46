/** The page: puts its parts together with the worker, where all computing happens. */
import { missingBackends } from './backends.ts';
import { Controls } from './controls.ts';
import { byId } from './dom.ts';
import { ImageView } from './image-view.ts';
import { hideCard, showCard } from './model-card.ts';
import { onFile } from './open-file.ts';
import { Pad } from './pad.ts';
import { PlaneView } from './plane-view.ts';
import type { Drawable, Reply, Request } from './protocol.ts';
import { useTabs } from './tabs.ts';

const app = byId('app');
const query = new URLSearchParams(location.search);
const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
const send = (request: Request) => worker.postMessage(request);
worker.onerror = ({ message }) => say(message);
// Which networks there are only the worker knows, so that the page need not load them too.
const controls = await new Promise<Controls>((resolve) => {
  worker.onmessage = ({ data }: MessageEvent<Reply>) => {
    if (data.type === 'ready') resolve(new Controls(data.networks, query));
    else receive(data);
  };
});
const pad = new Pad(document.querySelector<HTMLCanvasElement>('#pad canvas')!);
const plane = new PlaneView();
const images = new ImageView((wish) => {
  send({ type: 'sample', ...wish, backend: controls.config.backend });
});

function receive(reply: Exclude<Reply, { type: 'ready' }>): void {
  switch (reply.type) {
    case 'model':
      showModel(reply);
      return;
    case 'reset':
      showNothing();
      return;
    case 'running':
    case 'paused':
      setStatus(reply.type);
      return;
    case 'progress':
      plane.progress(reply);
      return;
    case 'views':
      plane.show(reply.views);
      return;
    case 'images':
      images.draw(reply.images);
      return;
    case 'lost':
      say(`The GPU device was lost; training went on from step ${reply.step}.`);
      return;
    case 'saved':
      download(reply.bytes);
      return;
    case 'error':
      say(reply.message);
      images.failed();
      setStatus(reply.running ? 'running' : Number(app.dataset.step) > 0 ? 'paused' : 'idle');
  }
}

function showModel({ description, adapter, file }: Extract<Reply, { type: 'model' }>): void {
  const { drawable, metadata, step } = description;
  byId('adapter').textContent = adapter;
  showCard(description, file);
  if (file === undefined) return;
  say('');
  controls.useFile(file, metadata.data);
  plane.clear(step);
  showDrawable(drawable);
  setStatus('opened');
}

/** Shows the part of the page for what can be drawn. */
function showDrawable(drawable: Drawable): void {
  controls.allowTraining(drawable.kind === 'plane');
  byId('plane').hidden = drawable.kind !== 'plane';
  byId('images').hidden = drawable.kind !== 'images';
  if (drawable.kind === 'images') images.open(drawable.shapes);
}

function reset(): void {
  send({ type: 'reset' });
}

function start(): void {
  say('');
  const steps = query.get('steps');
  setStatus('starting');
  send({
    type: 'start',
    config: controls.config,
    points: pad.points,
    ...(steps !== null && { steps: Number(steps) }),
  });
}

async function open(file: File): Promise<void> {
  // The part of the page that shows models.
  byId('tab-train').click();
  say('');
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    send({ type: 'open', bytes, file: file.name, config: controls.config });
  } catch (error) {
    // A folder, or a file that is gone.
    say(`${file.name} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}

/** The page without a model. */
function showNothing(): void {
  controls.useFile(undefined);
  hideCard();
  plane.clear();
  showDrawable({ kind: 'plane' });
  byId('adapter').textContent = '–';
  say('');
  setStatus('idle');
}

/** Other data, or another backend: the model stays, and goes on with it. */
function move(): void {
  if (app.dataset.status === 'running') start();
}

function setStatus(status: string): void {
  app.dataset.status = status;
  const going = status === 'running' || status === 'starting';
  byId('start').textContent = going ? 'Pause' : Number(app.dataset.step) > 0 ? 'Go on' : 'Start';
}

function say(message: string): void {
  byId('message').textContent = message;
}

function download(bytes: Uint8Array<ArrayBuffer>): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([bytes]));
  link.download = 'model.safetensors';
  link.click();
  URL.revokeObjectURL(link.href);
}

byId('controls').addEventListener('submit', (event) => {
  event.preventDefault();
  if (app.dataset.status === 'running') send({ type: 'pause' });
  else start();
});
controls.onChange(reset, move);
byId('reset').addEventListener('click', reset);
byId('save').addEventListener('click', () => send({ type: 'save' }));
byId('clear').addEventListener('click', () => pad.clear());
onFile((file) => void open(file));

for (const [backend, why] of Object.entries(await missingBackends())) {
  controls.withoutBackend(backend);
  byId('note').textContent += `${why} `;
}
useTabs(query, async () => {
  const { BrainView } = await import('./brain/view.ts');
  new BrainView();
});
setStatus('idle');
app.dataset.ready = 'true';
if (query.has('autostart')) start();
