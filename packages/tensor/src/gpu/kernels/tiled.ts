/**
 * A matrix product in WGSL whose operands are read through functions, so that a convolution is a
 * product with a gathered operand that is never stored. A workgroup keeps panels of A and B in its own
 * memory, four numbers a word, and has the next panels underway in registers while it multiplies; an
 * invocation holds a block of C in registers. Where C has few blocks, groups of invocations share one:
 * each takes every so many panels, and their sums are added up in order.
 *
 * Left out: half precision and subgroups (see choice.ts).
 */
import type { Tiling } from './choice.ts';
import { declare, MAX_WORKGROUPS, type ShaderArray, type WgslKernel } from './shader.ts';

/** C[z] = A[z]·B[z], z below `slices`; operands and result as bodies of WGSL functions. */
export interface Product {
  readonly arrays: readonly ShaderArray[];
  readonly slices: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** From z, m and k: A at m and at four depths from k on, as a vec4f; all of them i32, m and k in range. */
  readonly a: string;
  /** Is A read along its depth by neighbouring invocations, or else along its rows? */
  readonly aAlongDepth: boolean;
  /** Members of `Column`, what is known of four columns of B from n on. */
  readonly column: string;
  /** From z and n (which may be out of range): the column, returned. */
  readonly columnAt: string;
  /** From z, k and `column`: B at k and at its four columns, as a vec4f; k is in range. */
  readonly b: string;
  readonly bAlongDepth: boolean;
  /** Is the result stored by four? */
  readonly quads: boolean;
  /** Statements that store `value`, of four columns from n on at m, as far as they are in range. */
  readonly store: string;
}

export function tiled(product: Product, tiling: Tiling): WgslKernel {
  const { arrays, slices, m, n, k, a, column, columnAt, b, store, quads } = product;
  const { rows, columns, depth, perRow, perColumn, groups } = tiling;
  const [across, down] = [columns / perColumn, rows / perRow];
  const threads = across * down;
  // Words of four: A lies along its depth, a word apart from the next row for the banks of memory.
  const words = depth / 4;
  const pitch = words + 1;
  const width = columns / 4;
  const blocks = Math.ceil(k / (depth * groups));
  const aLoads = Math.ceil((rows * words) / threads);
  const bLoads = Math.ceil((depth * width) / threads);
  const columnTiles = Math.ceil(n / columns);
  const rowTiles = Math.ceil(m / rows);
  const tiles = columnTiles * rowTiles;
  const wide = Math.min(tiles, MAX_WORKGROUPS);
  const each = (count: number, line: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => line(i)).join('\n');
  const quadsPer = perColumn / 4;

  const { text, bound } = declare(arrays, [{ name: 'result', quads }]);
  const aPlace = product.aAlongDepth
    ? (t: string) => [`(${t}) / ${words}`, `(${t}) % ${words}`]
    : (t: string) => [`(${t}) % ${rows}`, `(${t}) / ${rows}`];
  const bPlace = product.bAlongDepth
    ? (t: string) => [`(${t}) % ${depth}`, `(${t}) / ${depth}`]
    : (t: string) => [`(${t}) / ${width}`, `(${t}) % ${width}`];
  const guard = (of: number, i: number, line: string) =>
    (i + 1) * threads > of ? `if (lane + ${i * threads} < ${of}) { ${line} }` : line;
  const mInside = m % rows === 0 ? '' : `if (m >= ${m}) { return vec4f(); }`;
  const kInside = k % (depth * groups) === 0 ? '' : `if (k >= ${k}) { return vec4f(); }`;
  const load = (block: string) => `{
      let k0 = (${block} * ${groups} + part) * ${depth};
      ${each(aLoads, (i) => {
        const [row, word] = aPlace(`lane + ${i * threads}`);
        return guard(
          rows * words,
          i,
          `nextA${i} = loadA(z, firstRow + ${row}, k0 + 4 * (${word}));`,
        );
      })}
      ${each(bLoads, (i) => {
        const [row] = bPlace(`lane + ${i * threads}`);
        return guard(depth * width, i, `nextB${i} = loadB(z, k0 + ${row}, column${i});`);
      })}
    }`;
  const multiply = each(words, (word) => {
    const left = each(
      perRow,
      (r) => `let a${word}_${r} = panelA[atA + ${r * down * pitch + word}];`,
    );
    return `${left}\n${each(4, (kk) => {
      const right = each(
        quadsPer,
        (c) => `let b${word}_${kk}_${c} = panelB[atB + ${(word * 4 + kk) * width + c * across}];`,
      );
      const sums = each(perRow, (r) =>
        each(
          quadsPer,
          (c) => `s${r}_${c} = fma(vec4f(a${word}_${r}[${kk}]), b${word}_${kk}_${c}, s${r}_${c});`,
        ),
      );
      return `${right}\n${sums}`;
    })}`;
  });
  // Sums of the groups, added up through the memory of the panels, a group at a time.
  const shared = Math.max(groups * rows * pitch, groups > 1 ? threads * perRow * quadsPer : 0);
  const gather =
    groups === 1
      ? ''
      : `for (var other = 1; other < ${groups}; other++) {
        workgroupBarrier();
        if (part == other) {
          ${each(perRow, (r) => each(quadsPer, (c) => `panelA[lane + ${(r * quadsPer + c) * threads}] = s${r}_${c};`))}
        }
        workgroupBarrier();
        if (part == 0) {
          ${each(perRow, (r) => each(quadsPer, (c) => `s${r}_${c} += panelA[lane + ${(r * quadsPer + c) * threads}];`))}
        }
      }
      if (part > 0) { return; }`;
  const code = `
    ${text}
    struct Column { ${column} }
    var<workgroup> panelA : array<vec4f, ${shared}>;
    var<workgroup> panelB : array<vec4f, ${groups * depth * width}>;
    fn loadA(z : i32, m : i32, k : i32) -> vec4f {
      ${mInside} ${kInside}
      ${a}
    }
    fn columnAt(z : i32, n : i32) -> Column {
      ${columnAt}
    }
    fn loadB(z : i32, k : i32, column : Column) -> vec4f {
      ${kInside}
      ${b}
    }
    fn store(z : i32, m : i32, n : i32, value : vec4f) {
      ${m % rows === 0 ? '' : `if (m >= ${m}) { return; }`}
      ${n % columns === 0 ? '' : `if (n >= ${n}) { return; }`}
      ${store}
    }
    @compute @workgroup_size(${threads * groups})
    fn main(
      @builtin(workgroup_id) group : vec3u,
      @builtin(local_invocation_index) thread : u32,
    ) {
      let tile = i32(group.x + group.y * ${wide}u);
      let z = i32(group.z);
      let firstRow = (tile / ${columnTiles}) * ${rows};
      let firstColumn = (tile % ${columnTiles}) * ${columns};
      let lane = i32(thread) % ${threads};
      let part = i32(thread) / ${threads};
      let x = lane % ${across};
      let y = lane / ${across};
      let atA = part * ${rows * pitch} + y * ${pitch};
      let atB = part * ${depth * width} + x;
      ${each(bLoads, (i) => `let column${i} = columnAt(z, firstColumn + 4 * (${bPlace(`lane + ${i * threads}`)[1]}));`)}
      ${each(aLoads, (i) => `var nextA${i} : vec4f;`)}
      ${each(bLoads, (i) => `var nextB${i} : vec4f;`)}
      ${each(perRow, (r) => each(quadsPer, (c) => `var s${r}_${c} = vec4f();`))}
      ${load('0')}
      for (var block = 0; block < ${blocks}; block++) {
        ${each(aLoads, (i) => {
          const [row, word] = aPlace(`lane + ${i * threads}`);
          return guard(
            rows * words,
            i,
            `panelA[part * ${rows * pitch} + (${row}) * ${pitch} + ${word}] = nextA${i};`,
          );
        })}
        ${each(bLoads, (i) => {
          const [row, quad] = bPlace(`lane + ${i * threads}`);
          return guard(
            depth * width,
            i,
            `panelB[part * ${depth * width} + (${row}) * ${width} + ${quad}] = nextB${i};`,
          );
        })}
        workgroupBarrier();
        if (block + 1 < ${blocks}) ${load('(block + 1)')}
        ${multiply}
        workgroupBarrier();
      }
      ${gather}
      ${each(perRow, (r) => each(quadsPer, (c) => `store(z, firstRow + y + ${r * down}, firstColumn + 4 * (x + ${c * across}), s${r}_${c});`))}
    }`;
  return { ...bound, code, workgroups: [wide, Math.ceil(tiles / wide), slices] };
}
