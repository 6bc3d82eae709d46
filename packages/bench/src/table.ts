/** Plain text tables for a terminal. */

/**
 * Rows under a header, each column as wide as its widest cell, numbers to the right.
 *
 * @example console.log(formatTable(['K', 'peak'], [['4', '1.2 MB'], ['64', '1.2 MB']]));
 */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const widths = header.map((h, i) => Math.max(h.length, ...rows.map((r) => r[i]!.length)));
  const format = (cells: readonly string[]) =>
    cells
      .map((c, i) => (i === 0 ? c.padEnd(widths[i]!) : c.padStart(widths[i]!)))
      .join('  ')
      .trimEnd();
  return [format(header), widths.map((w) => '-'.repeat(w)).join('  '), ...rows.map(format)].join(
    '\n',
  );
}

/** Bytes as mebibytes, `12.34`. */
export function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(2);
}
