/** The pictures of the page, drawn with Observable Plot. */
import * as Plot from '@observablehq/plot';
import { cells, lines, type MemoryUse, type Views } from './protocol.ts';

const warm = 'var(--warm)';
const accent = 'var(--accent)';

/** The model's density as colours, dark where it is high, with data on top. */
export function densityPlot({ density, data, extent }: Views): Element {
  return plane(extent, [
    Plot.raster(density, {
      width: cells,
      height: cells,
      x1: -extent,
      y1: -extent,
      x2: extent,
      y2: extent,
      interpolate: 'nearest',
    }),
    Plot.dot(pairs(data).slice(0, 300), { r: 1.2, fill: 'white', fillOpacity: 0.8, clip: true }),
  ]);
}

export function samplesPlot({ samples, extent }: Views): Element {
  const dots = { r: 1.8, fill: accent, fillOpacity: 0.6, clip: true };
  return plane(extent, [Plot.dot(pairs(samples), dots)]);
}

/** A lattice, the lines of its two directions in two colours. */
export function gridPlot(points: Float32Array, extent: number): Element {
  const at = pairs(points);
  const rows = at.map((p, i) => ({ p, line: Math.floor(i / lines) }));
  const columns = at.map((p, i) => ({ p, line: i % lines }));
  const line = (of: typeof rows, stroke: string) =>
    Plot.line(of, {
      x: (d) => d.p[0],
      y: (d) => d.p[1],
      z: 'line',
      stroke,
      strokeWidth: 1,
      clip: true,
    });
  return plane(extent, [line(rows, accent), line(columns, warm)]);
}

/** The losses up to a step. */
export function lossPlot(losses: readonly number[], step: number): Element {
  const every = Math.max(1, Math.floor(losses.length / 400));
  const thinned = losses
    .map((loss, i) => ({ step: step - losses.length + i + 1, loss }))
    .filter((_, i) => i % every === 0);
  return Plot.plot({
    ...size(320),
    x: { label: 'step', ticks: 5 },
    y: { label: 'nats', grid: true, nice: true },
    marks: [
      Plot.line(thinned, { x: 'step', y: 'loss', stroke: accent, strokeOpacity: 0.35 }),
      Plot.line(
        thinned,
        Plot.windowY({ k: 15, x: 'step', y: 'loss', stroke: accent, strokeWidth: 2 }),
      ),
    ],
  });
}

/** What the step held, beside what stored activations would have taken, where that is known. */
export function memoryPlot({ peak, stored }: MemoryUse): Element {
  const bars = [{ what: 'this page, at its peak', mebibytes: peak / 2 ** 20 }];
  if (stored !== undefined) {
    bars.push({ what: 'stored activations alone', mebibytes: stored / 2 ** 20 });
  }
  return Plot.plot({
    ...size(130),
    marginLeft: 160,
    x: { label: 'MiB', grid: true, ticks: 5 },
    y: { label: null },
    marks: [
      Plot.barX(bars, {
        x: 'mebibytes',
        y: 'what',
        fill: (_, i) => (i === 0 ? accent : warm),
        sort: { y: null },
      }),
      Plot.text(bars, {
        x: 'mebibytes',
        y: 'what',
        text: (d) => d.mebibytes.toFixed(2),
        textAnchor: 'start',
        dx: 4,
      }),
    ],
    marginRight: 40,
  });
}

function plane(extent: number, marks: Plot.Markish[]): Element {
  const domain = [-extent, extent];
  return Plot.plot({
    ...size(360),
    width: 376,
    margin: 24,
    marginLeft: 40,
    x: { domain, label: null, ticks: 5 },
    y: { domain, label: null, ticks: 5 },
    color: { scheme: 'viridis' },
    marks: [...marks, Plot.frame({ stroke: 'var(--line)' })],
  });
}

function size(height: number): Plot.PlotOptions {
  return {
    width: 420,
    height,
    style: { background: 'none', color: 'var(--ink)', fontSize: '12px', maxWidth: '100%' },
  };
}

function pairs(points: Float32Array): [number, number][] {
  return Array.from({ length: points.length / 2 }, (_, i) => [points[2 * i]!, points[2 * i + 1]!]);
}
