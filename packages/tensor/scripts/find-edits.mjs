/**
 * The shortest edits that lead from one array of bytes to another, by the algorithm of Myers ("An O(ND)
 * difference algorithm and its variations", 1986), as the text that src/wasm/edits.ts reads.
 */

/** Bytes kept between two edits that are cheaper to write again than a further edit. */
const FEW = 3;

/**
 * @param {Uint8Array} from
 * @param {Uint8Array} to
 * @returns {string}
 */
export function findEdits(from, to) {
  const edits = [];
  for (const step of path(from, to)) {
    const last = edits.at(-1);
    if (last && step.from - last.fromEnd <= FEW) {
      last.fromEnd = step.fromEnd;
      last.toEnd = step.toEnd;
    } else {
      edits.push({ ...step });
    }
  }
  let [at, before] = [0, ''];
  const texts = edits.map((edit) => {
    const kept = edit.from - at;
    at = edit.fromEnd;
    const put = Buffer.from(to.subarray(edit.to, edit.toEnd)).toString('hex');
    const change = `.${(edit.fromEnd - edit.from).toString(36)}.${put}`;
    const text = kept.toString(36) + (change === before ? '' : change);
    before = change;
    return text;
  });
  return texts.join(';');
}

/** Single bytes left out of `from`, or put in from `to`, in order. */
function path(from, to) {
  const reached = search(from, to);
  const steps = [];
  let [x, y] = [from.length, to.length];
  for (let d = reached.length - 1; d > 0; d--) {
    const k = cameFrom(reached[d - 1], x - y);
    const startX = reached[d - 1].at(k);
    const start = { from: startX, to: startX - k };
    const leavesOut = k < x - y;
    steps.push({
      ...start,
      fromEnd: start.from + (leavesOut ? 1 : 0),
      toEnd: start.to + (leavesOut ? 0 : 1),
    });
    [x, y] = [start.from, start.to];
  }
  return steps.reverse();
}

/** For each number of steps, how far along `from` they can lead on each diagonal k = x − y. */
function search(from, to) {
  const reached = [];
  for (let d = 0; ; d++) {
    const furthest = new Int32Array(2 * d + 1).fill(-1);
    const at = (k) => furthest[k + d] ?? -1;
    for (let k = -d; k <= d; k += 2) {
      let x = 0;
      if (d > 0) {
        const before = cameFrom(reached[d - 1], k);
        x = reached[d - 1].at(before) + (before < k ? 1 : 0);
      }
      while (x < from.length && x - k < to.length && from[x] === to[x - k]) x++;
      furthest[k + d] = x;
      if (x >= from.length && x - k >= to.length) return [...reached, { at }];
    }
    reached.push({ at });
  }
}

/** The diagonal beside k, one step before, from which one gets further on k. */
function cameFrom(before, k) {
  return before.at(k - 1) < before.at(k + 1) ? k + 1 : k - 1;
}
