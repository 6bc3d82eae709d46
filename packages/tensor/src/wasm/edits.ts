/**
 * Builds of the kernels as edits of another one, so that pages load the bytes that they share once. The
 * edits are made by scripts/compile-wasm.mjs, which checks that they lead to the very bytes compiled.
 */

/**
 * `from` with the edits made. Edits are text, one after the other with `;` between: how many bytes are
 * kept, how many are left out behind them, both in base 36, and which are put in there, in hexadecimal; or
 * only the first of the three, where the other two are those of the edit before. What is behind the last edit is kept.
 *
 * @example
 * applyEdits(Uint8Array.of(1, 2, 3, 4), '1.2.ff'); // 1, 255, 4
 */
export function applyEdits(from: Uint8Array, edits: string): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  let [at, dropped, put] = [0, '', ''];
  for (const edit of edits.matchAll(/(\w+)(?:\.(\w+)\.(\w*))?/g)) {
    const end = at + Number.parseInt(edit[1]!, 36);
    [dropped, put] = [edit[2] ?? dropped, edit[3] ?? put];
    while (at < end) bytes.push(from[at++]!);
    at += Number.parseInt(dropped, 36);
    bytes.push(...fromHex(put));
  }
  while (at < from.length) bytes.push(from[at++]!);
  return Uint8Array.from(bytes);
}

/** The bytes that hexadecimal digits stand for. */
function fromHex(hex: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  }
  return bytes;
}
