/** HTML as text. All that users bring goes through `text`. */

/** Text as it stands in a page. */
export function text(content: string): string {
  return content
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/** A part of the page with a heading, or nothing where it has no content. */
export function section(heading: string, parts: readonly (string | undefined)[]): string {
  const content = parts.filter((part) => part !== undefined && part !== '').join('\n');
  if (content === '') return '';
  const id = heading.toLowerCase().replaceAll(/[^a-z]+/g, '-');
  return `<section aria-labelledby="${id}"><h2 id="${id}">${text(heading)}</h2>\n${content}\n</section>`;
}

/** A table whose first column are names. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const cells = (row: readonly string[]) =>
    row.map((cell, i) =>
      i === 0 ? `<th scope="row">${text(cell)}</th>` : `<td>${text(cell)}</td>`,
    );
  const body = rows.map((row) => `<tr>${cells(row).join('')}</tr>`).join('\n');
  const titles = head.map((title) => `<th scope="col">${text(title)}</th>`).join('');
  return `<div class="scroll"><table><thead><tr>${titles}</tr></thead>\n<tbody>${body}</tbody></table></div>`;
}

/** A number as people read it. */
export function shown(value: number): string {
  const size = Math.abs(value);
  if (!Number.isFinite(value) || (Number.isInteger(value) && size < 1e5)) {
    return String(value).replace('-', '−');
  }
  if (size < 1e-3 || size >= 1e5)
    return value.toExponential(1).replace('-', '−').replace('e+', 'e');
  return value.toPrecision(size >= 1000 ? 4 : 3).replace('-', '−');
}

/** A p-value. */
export function shownP(pValue: number): string {
  return pValue < 1e-4 ? '< 0.0001' : pValue.toFixed(pValue < 0.01 ? 4 : 2);
}
