/** What a run leaves to look at. */
import { curves, type Figure, type Panel, panels } from '@invnet/figures';
import { type Comparison, summaryOf } from './evaluation.ts';
import { interval, type Survey, spacing } from './survey.ts';

/** Of the largest values, so many are clipped. */
const clip = 0.98;

/** Cases in rows: the truth, and what the methods made of it, all at one clip. */
export function imagesPicture(cases: readonly Comparison[], { size }: Survey): Figure {
  const [height, width] = size;
  const rows = cases.map(({ truth, lsqr, loop }, i): Panel[] => {
    const [rtm, rest] = [lsqr[0]!, lsqr.slice(1)];
    const same = rest.find(({ calls }) => calls === loop.calls)!;
    const decibels = ({ snr }: { readonly snr: number }) => `${snr.toFixed(1)} dB`;
    return [
      { height, width, title: `case ${i + 1}`, note: 'truth', values: truth },
      { height, width, title: 'RTM', note: decibels(rtm), values: rtm.image },
      {
        ...{ height, width, values: same.image },
        title: `LSQR, ${same.iterations} iterations`,
        note: decibels(same),
      },
      {
        ...{ height, width, values: rest.at(-1)!.image },
        title: `LSQR, ${rest.at(-1)!.iterations} iterations`,
        note: decibels(rest.at(-1)!),
      },
      { height, width, title: 'loop', note: decibels(loop), values: loop.image },
    ];
  });
  return panels(rows.flat(), {
    columns: 5,
    size: 170,
    scale: { palette: 'grey', clip, label: 'δm, in units of each shot' },
    x: { range: [0, (width * spacing) / 1000], label: 'km' },
    y: { range: [0, (height * spacing) / 1000], label: 'depth (km)' },
  });
}

/** What one shot recorded, what the loop's image would have, and the difference, at one clip. */
export function gatherPicture({ data, modelled }: Comparison, { size, range }: Survey): Figure {
  const [, height, width] = range as readonly [number, number, number];
  const every = Math.ceil(width / 24);
  const gather = (title: string, values: Float32Array, alone = false): Panel => ({
    ...{ height, width, title, values, wiggles: { every, alone } },
  });
  return panels(
    [
      gather('recorded', data),
      gather('recorded, wiggles', data, true),
      gather("the loop's", modelled),
      gather(
        'difference',
        data.map((d, i) => d - modelled[i]!),
      ),
    ],
    {
      scale: { palette: 'diverging', clip },
      size: 200,
      aspect: 1.3,
      x: { range: [0, (size[1] * spacing) / 1000], label: 'receiver (km)' },
      y: { range: [0, (height * interval) / 1000], label: 'time (s)' },
    },
  );
}

/** Mean signal-to-noise ratios against the number of times that J or Jᵀ was applied, by the names of tests. */
export function snrPicture(tests: Readonly<Record<string, readonly Comparison[]>>): Figure {
  const series = Object.entries(tests).flatMap(([name, cases]) => {
    const { lsqr, loop } = summaryOf(cases);
    return [
      { name: `LSQR, ${name}`, x: lsqr.map(({ calls }) => calls), y: lsqr.map(({ snr }) => snr) },
      { name: `loop, ${name}`, x: [loop.calls], y: [loop.snr], points: true },
    ];
  });
  return curves({
    title: 'Quality against cost',
    series,
    x: { label: 'applications of J and its adjoint', scale: 'log' },
    y: { label: 'SNR (dB)' },
  });
}

/** The loss of each step. */
export function lossPicture(losses: readonly number[]): Figure {
  return curves({
    title: 'Training loss',
    series: [{ y: losses, smooth: Math.max(1, Math.round(losses.length / 50)) }],
    clip,
    x: { label: 'step' },
    y: { label: 'loss', scale: 'log' },
  });
}
