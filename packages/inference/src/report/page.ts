/** The page around the sections: one file, readable without a network, light or dark as the reader's system is. */
import { text } from './html.ts';

/** A whole document. */
export function page(given: {
  readonly title: string;
  readonly text: string | undefined;
  readonly sections: string;
  readonly json: string;
}): string {
  const { title, sections, json } = given;
  const intro = given.text === undefined ? '' : `<p class="intro">${text(given.text)}</p>`;
  // What ends a script element may not stand in one.
  const numbers = json.replaceAll('<', '\\u003c');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${text(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<header><h1>${text(title)}</h1>${intro}</header>
${sections}
<footer><p>All numbers of this page are in it as JSON, and in the file beside it.</p>
${references}
</footer>
</main>
<script type="application/json" id="numbers">${numbers}</script>
</body>
</html>
`;
}

const papers = [
  'Friedman, “On multivariate goodness-of-fit and two-sample testing”, 2003 (C2ST)',
  'Gelman, Meng and Stern, “Posterior predictive assessment of model fitness via realized discrepancies”, 1996',
  'Hermans et al., “A crisis in simulation-based inference?”, 2022 (expected coverage)',
  'Lemos et al., “Sampling-based accuracy testing of posterior estimators for general inference”, 2023 (TARP)',
  'Lueckmann et al., “Benchmarking simulation-based inference”, 2021',
  'Säilynoja, Bürkner and Vehtari, “Graphical test for discrete uniformity and its applications”, 2022',
  'Schad, Betancourt and Vasishth, “Toward a principled Bayesian workflow in cognitive science”, 2021 (z-score, contraction)',
  'Talts et al., “Validating Bayesian inference algorithms with simulation-based calibration”, 2018',
];

const references = `<details><summary>Papers</summary><ul>${papers
  .map((paper) => `<li>${text(paper)}</li>`)
  .join('')}</ul></details>`;

/** Figures are drawn in dark ink on white paper; in the dark they are recoloured by what they are drawn with. */
const style = `
:root { --ink: #1d2126; --soft: #59616b; --paper: #fcfcfb; --card: #fff; --line: #e3e5e8; --accent: #0072b2;
  --warn: #8a4b00; --warn-paper: #fdf3e3; --fine: #1c6b45; --fine-paper: #e9f6ef; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --soft: #a3abb5; --paper: #14171a; --card: #1b1f24; --line: #32383f; --accent: #56b4e9;
    --warn: #f3c27a; --warn-paper: #33270f; --fine: #7fd3a8; --fine-paper: #12291d; }
  svg[fill='#222222'], svg [fill='#222222'] { fill: var(--ink); }
  svg [stroke='#222222'] { stroke: var(--ink); }
  svg [color='#222222'] { color: var(--ink); }
  svg [fill='#666666'] { fill: var(--soft); }
  svg [stroke='#666666'] { stroke: var(--soft); }
  svg [stroke='#e6e6e6'] { stroke: var(--line); }
  svg > rect[fill='white'] { fill: none; }
  svg [fill='#0072b2'] { fill: #3f9fdc; }
  svg [stroke='#0072b2'] { stroke: #3f9fdc; }
  svg [stroke='#0072b250'] { stroke: #3f9fdc80; }
  svg [fill='#d55e00'] { fill: #f08a3c; }
  svg [stroke='#d55e00'] { stroke: #f08a3c; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; margin: 2.75rem 0 1rem; padding-top: 1.25rem; border-top: 1px solid var(--line); }
p { margin: 0 0 1rem; max-width: 46rem; }
.intro { color: var(--soft); }
.warnings, .fine, .open { border-radius: .5rem; padding: .8rem 1rem; margin: 0; max-width: none; }
.warnings { background: var(--warn-paper); color: var(--warn); padding-left: 2.2rem; }
.warnings li + li { margin-top: .3rem; }
.fine { background: var(--fine-paper); color: var(--fine); }
.open { background: var(--card); color: var(--soft); border: 1px solid var(--line); }
.scroll { overflow-x: auto; margin: 0 0 1.25rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { text-align: left; padding: .35rem 1.5rem .35rem 0; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; }
tbody th { font-weight: 500; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1.25rem; }
figure { margin: 0 0 1.25rem; padding: 1rem; background: var(--card); border: 1px solid var(--line); border-radius: .6rem; }
.plots figure { margin: 0; }
.plots .wide, .plots figure:nth-child(odd):has(+ .wide) { grid-column: 1 / -1; }
figure svg { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figcaption { color: var(--soft); font-size: .86rem; line-height: 1.45; margin-top: .75rem; }
figcaption b { color: var(--ink); font-weight: 600; }
footer { margin-top: 3rem; color: var(--soft); font-size: .86rem; }
summary { cursor: pointer; color: var(--accent); }
@media print { figure, .scroll { break-inside: avoid; } }
`;
