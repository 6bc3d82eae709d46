/**
 * What is known of posteriors, as a page for people and as JSON for programs: several estimators side by side, what tests
 * found before all else, and each plot with what it means and the paper that it is from.
 */
import { posteriorMoments } from '@invnet/metrics';
import { formatValue, ValueError } from '@invnet/tensor';
import { type EstimatorReport, type ReportContent, requireContent } from './content.ts';
import { fileSystem } from './node.ts';
import { page } from './page.ts';
import { sectionsOf, warningsOf } from './sections.ts';

/** A report, twice. */
export interface Report {
  /** A page in one file, readable without a network, in light and dark. */
  readonly html: string;
  /** All numbers but the samples, of which it has mean and deviation. */
  readonly json: string;
}

/**
 * A report of one estimator, or of several that are compared: corner of the posterior, calibration, predictive checks, training,
 * scores, maps of images; what there is of them. It begins with what tests have found. Equal contents give equal texts.
 *
 * @throws ValueError, ShapeError for what does not belong into a report, or does not fit the rest of it.
 * @example
 * const calibration = await calibrate(posterior, pairs, { seed: 3 }).result();
 * const { html } = makeReport({ title: 'Two moons', estimators: [{ name: 'NPE', samples, calibration }], truth });
 */
export function makeReport(content: ReportContent): Report {
  requireContent('makeReport', content);
  const { title, text } = content;
  const json = JSON.stringify(numbersOf(content), (_, value: unknown) =>
    ArrayBuffer.isView(value) && !(value instanceof DataView)
      ? Array.from(value as Float64Array)
      : value,
  );
  const html = page({ title, text, sections: sectionsOf(content), json });
  return { html: withOwnIds(html), json: `${json}\n` };
}

/**
 * Writes `makeReport` into two files, which end in `.html` and `.json`.
 *
 * @param path - Of both, without an ending, in a folder that there is.
 * @throws InvNetError in a page, which shows the HTML itself; the system's error where a file cannot be written.
 * @example await writeReport('two-moons', { title: 'Two moons', estimators }); // two-moons.html and two-moons.json
 */
export async function writeReport(path: string, content: ReportContent): Promise<void> {
  if (typeof path !== 'string' || path === '') {
    throw new ValueError(`writeReport: the path is ${formatValue(path)}; expected a text.`);
  }
  const { html, json } = makeReport(content);
  const { writeFile } = fileSystem('writeReport');
  await writeFile(`${path}.html`, html);
  await writeFile(`${path}.json`, json);
}

function numbersOf(content: ReportContent) {
  const { estimators, image: _, ...rest } = content;
  return { ...rest, findings: warningsOf(content), estimators: estimators.map(estimatorNumbers) };
}

function estimatorNumbers({ samples, maps: _, ...estimator }: EstimatorReport) {
  if (!samples || samples.shape[0]! < 2) return estimator;
  const { shape, data } = samples;
  const columns = data.length / shape[0]!;
  const rows = (function* () {
    for (let i = 0; i < shape[0]!; i++) yield data.subarray(i * columns, (i + 1) * columns);
  })();
  return { ...estimator, samples: posteriorMoments(rows) };
}

/** Observable Plot counts its clip paths over all that a process draws; a report has its own count. */
function withOwnIds(html: string): string {
  const own = new Map<string, number>();
  return html.replaceAll(/plot-clip-\d+/g, (id) => {
    if (!own.has(id)) own.set(id, own.size + 1);
    return `plot-clip-${own.get(id)}`;
  });
}
