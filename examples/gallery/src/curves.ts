/** Curves as an SVG: d3 computes scales, ticks and paths. */
import { scaleLinear, scaleOrdinal } from 'd3-scale';
import { line } from 'd3-shape';

const [width, height] = [640, 380];
const margin = { top: 40, right: 24, bottom: 48, left: 64 };
const colors = ['#1f5fa8', '#c0392b', '#2d8a57'];

/** A chart of named series of values against their index. */
export function curves(options: {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: Readonly<Record<string, readonly number[]>>;
}): string {
  const { title, xLabel, yLabel, series } = options;
  const all = Object.values(series).flat();
  const longest = Math.max(...Object.values(series).map((values) => values.length));
  const [left, right] = [margin.left, width - margin.right];
  const [top, bottom] = [margin.top, height - margin.bottom];
  const x = scaleLinear([0, longest - 1], [left, right]);
  const y = scaleLinear([Math.min(...all), Math.max(...all)], [bottom, top]).nice();
  const color = scaleOrdinal(Object.keys(series), colors);
  const path = line<number>()
    .x((_, i) => Number(x(i).toFixed(1)))
    .y((v) => Number(y(v).toFixed(1)));
  const text = (at: string, content: string, rest = '') => `<text ${at} ${rest}>${content}</text>`;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" text-anchor="middle">`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    text(`x="${(left + right) / 2}" y="22"`, title, 'font-size="15"'),
    ...y.ticks(6).map((t) => {
      const grid = `<line x1="${left}" x2="${right}" y1="${y(t)}" y2="${y(t)}" stroke="#eee"/>`;
      return (
        grid + text(`x="${left - 8}" y="${y(t) + 4}"`, y.tickFormat(6)(t), 'text-anchor="end"')
      );
    }),
    ...x.ticks(8).map((t) => text(`x="${x(t)}" y="${bottom + 18}"`, String(t))),
    `<path d="M${left},${top}V${bottom}H${right}" fill="none" stroke="#333"/>`,
    ...Object.entries(series).map(
      ([name, values]) =>
        `<path d="${path(values)}" fill="none" stroke="${color(name)}" stroke-width="2"/>`,
    ),
    ...Object.keys(series).map((name, i) =>
      text(
        `x="${right}" y="${top + 14 + 18 * i}"`,
        name,
        `text-anchor="end" fill="${color(name)}"`,
      ),
    ),
    text(`x="${(left + right) / 2}" y="${height - 10}"`, xLabel),
    text(`transform="translate(18,${(top + bottom) / 2}) rotate(-90)"`, yLabel),
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}
