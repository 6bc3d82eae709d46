/** The training curve as an SVG: d3 computes scales, ticks and paths, no DOM is needed. */
import { quantileSorted } from 'd3-array';
import { scaleLinear } from 'd3-scale';
import { line } from 'd3-shape';

const width = 800;
const height = 420;
const margin = { top: 40, right: 64, bottom: 52, left: 64 };

/**
 * An SVG of bits per dimension against the training step: each step in grey, an exponential
 * moving average on top. The few steps far above the rest at the start are cut off.
 *
 * @example await writeFile('loss.svg', lossChart([7.9, 5.2, 4.1]));
 */
export function lossChart(bitsPerDim: readonly number[], testBitsPerDim?: number): string {
  const smooth = smoothed(bitsPerDim);
  const sorted = [...bitsPerDim].sort((a, b) => a - b);
  const low = Math.min(sorted[0]!, testBitsPerDim ?? Number.POSITIVE_INFINITY);
  const high = Math.max(quantileSorted(sorted, 0.98)!, testBitsPerDim ?? low, low + 0.1);
  const x = scaleLinear([1, Math.max(2, bitsPerDim.length)], [margin.left, width - margin.right]);
  const y = scaleLinear([low, high], [height - margin.bottom, margin.top]).nice();
  const curve = line<number>()
    .x((_, i) => Number(x(i + 1).toFixed(1)))
    .y((d) => Number(y(Math.min(d, y.domain()[1]!)).toFixed(1)));
  const bottom = height - margin.bottom;
  const right = width - margin.right;
  const xTicks = x
    .ticks(8)
    .filter(Number.isInteger)
    .map((t) => tick(x(t), bottom, 0, 6, `<text x="${x(t)}" y="${bottom + 20}">${t}</text>`));
  const yTicks = y.ticks(8).map((t) => {
    const label = `<text x="${margin.left - 10}" y="${y(t) + 4}" text-anchor="end">`;
    const grid = `<line x1="${margin.left}" x2="${right}" y1="${y(t)}" y2="${y(t)}" stroke="#eee"/>`;
    return grid + tick(margin.left, y(t), -6, 0, `${label}${y.tickFormat(8)(t)}</text>`);
  });
  const center = (margin.left + right) / 2;
  const middle = (margin.top + bottom) / 2;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" text-anchor="middle">`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    `<text x="${center}" y="22" font-size="15">Glow on MNIST: training loss</text>`,
    ...yTicks,
    ...xTicks,
    `<path d="M${margin.left},${margin.top}V${bottom}H${right}" fill="none" stroke="#333"/>`,
    `<path d="${curve(bitsPerDim)}" fill="none" stroke="#c8d4e3" stroke-width="1"/>`,
    `<path d="${curve(smooth)}" fill="none" stroke="#1f5fa8" stroke-width="2"/>`,
    ...(testBitsPerDim === undefined ? [] : [testLine(y(testBitsPerDim), right, testBitsPerDim)]),
    `<text x="${center}" y="${height - 12}">training step</text>`,
    `<text transform="translate(18,${middle}) rotate(-90)">bits per dimension</text>`,
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}

/** Exponential moving average over about 30 steps, without the pull of its first value. */
function smoothed(values: readonly number[]): number[] {
  const decay = 1 - 1 / 30;
  let total = 0;
  let weight = 0;
  return values.map((v) => {
    total = decay * total + (1 - decay) * v;
    weight = decay * weight + (1 - decay);
    return total / weight;
  });
}

function tick(x: number, y: number, dx: number, dy: number, label: string): string {
  return `<line x1="${x}" x2="${x + dx}" y1="${y}" y2="${y + dy}" stroke="#333"/>${label}`;
}

function testLine(y: number, right: number, value: number): string {
  return (
    `<line x1="${margin.left}" x2="${right}" y1="${y}" y2="${y}" stroke="#c0392b" ` +
    `stroke-dasharray="5 4"/><text x="${right + 6}" y="${y + 4}" text-anchor="start" ` +
    `fill="#c0392b">test ${value.toFixed(3)}</text>`
  );
}
