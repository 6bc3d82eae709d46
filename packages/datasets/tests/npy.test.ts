/**
 * Files of NumPy itself, as recorded bytes everywhere, and written anew where `python3` has it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { NpyFormatError, type NumericData, parseNpy } from '../src/npy.ts';
import { expectTypedErrors, range } from './damage.ts';

/** What NumPy 2.4 wrote after the text of the header. */
const recorded: [string, string, string, number[], NumericData][] = [
  [
    'uint16 in Fortran order',
    "{'descr': '<u2', 'fortran_order': True, 'shape': (2, 3), }",
    'e8fdebfde9fdecfdeafdedfd',
    [2, 3],
    Uint16Array.of(65000, 65001, 65002, 65003, 65004, 65005),
  ],
  [
    'big-endian int32',
    "{'descr': '>i4', 'fortran_order': False, 'shape': (2,), }",
    '00000001fffffffe',
    [2],
    Int32Array.of(1, -2),
  ],
  [
    'float16',
    "{'descr': '<f2', 'fortran_order': False, 'shape': (5,), }",
    '003e00800100ff7b007c',
    [5],
    Float32Array.of(1.5, -0, 2 ** -24, 65504, Number.POSITIVE_INFINITY),
  ],
  [
    'complex64',
    "{'descr': '<c8', 'fortran_order': False, 'shape': (2, 1), }",
    '0000803f0000004000004040000080c0',
    [2, 1, 2],
    Float32Array.of(1, 2, 3, -4),
  ],
];

describe('parseNpy', () => {
  it.each(recorded)('reads %s', (_, header, numbers, shape, data) => {
    // A small Buffer shares its memory with others, and so starts anywhere.
    expect(parseNpy(npy(header, numbers))).toEqual({ shape, data });
  });

  it.each([
    ['an empty file', '', '', /x\.npy is truncated: it has 0 bytes/],
    ['records', "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (), }", '', /records/],
    ['objects', "{'descr': '|O', 'fortran_order': False, 'shape': (), }", '', /type '\|O'; exp/],
    ['text', "{'descr': '<U3', 'fortran_order': False, 'shape': (), }", '', /type '<U3'; exp/],
    [
      'what no array is',
      "{'descr': '<constructor', 'fortran_order': False, 'shape': (0,), }",
      '',
      /type '<cons/,
    ],
    ['another header', "{'descr': '<f4'}", '', /damaged header: "?'?\{'descr/],
    [
      'numbers cut short',
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
      '00000000',
      /truncated: its header says shape \[2, 3\] of <f4, which makes 152 bytes, but it has 132/,
    ],
    [
      'trailing bytes',
      "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }",
      '0000',
      /trailing bytes.*129 bytes, but it has 130/,
    ],
    [
      'sizes beyond any memory',
      "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967295, 4294967295, 99), }",
      '',
      /truncated/,
    ],
  ])('refuses %s', (_, header, numbers, message) => {
    const file = header ? npy(header, numbers) : new Uint8Array(0);
    expect(() => parseNpy(file, 'x.npy')).toThrow(NpyFormatError);
    expect(() => parseNpy(file, 'x.npy')).toThrow(message);
  });

  it('names other kinds of files', () => {
    const start = (...bytes: number[]) => Uint8Array.from([...bytes, ...new Array(200).fill(0)]);
    expect(() => parseNpy(start(0x50, 0x4b, 3, 4))).toThrow(/a ZIP archive, as NPZ files are/);
    expect(() => parseNpy(start(0x1f, 0x8b))).toThrow(/compressed with gzip; decompress it/);
    expect(() => parseNpy(start(0x89, 0x50, 0x4e, 0x47))).toThrow(/not an NPY file/);
    expect(() => parseNpy(start(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 9))).toThrow(/version 9/);
  });

  it('gives typed errors, or numbers, for all that is cut short or damaged', async () => {
    for (const [, header, numbers] of recorded) {
      const file = npy(header, numbers);
      const everywhere = { lengths: range(0, file.length), places: range(0, file.length) };
      await expectTypedErrors(file, (bytes) => parseNpy(bytes), everywhere);
    }
  });
});

/** A file of version 1, its header padded as NumPy does. */
function npy(header: string, numbers: string): Uint8Array {
  const text = `${header.padEnd(117)}\n`;
  const start = Buffer.from(`\x93NUMPY\x01\x00${String.fromCharCode(text.length)}\x00`, 'latin1');
  return Buffer.concat([start, Buffer.from(text), Buffer.from(numbers, 'hex')]);
}

const python = spawnSync('python3', ['-c', 'import numpy'], { encoding: 'utf8' });

if (python.status !== 0) {
  it('python3 lacks numpy: the recorded bytes stand in for the package', () => {
    expect(`${python.error ?? ''}${python.stderr ?? ''}`).toMatch(/ModuleNotFoundError|ENOENT/);
  });
} else {
  it('reads what NumPy writes in every type, order and version', async () => {
    const writer = `
import itertools, json, sys
import numpy
types = ['?', 'u1', 'i1', 'f2', 'c8', 'c16'] + [f'{k}{n}' for k in 'ui' for n in (2, 4, 8)] + ['f4', 'f8']
contents = []
for code, end, order, version in itertools.product(types, '<>', 'CF', [(1, 0), (2, 0), (3, 0)]):
    array = (numpy.arange(24).reshape(2, 3, 4) * 5 - 20).astype(end + code)
    if array.dtype.kind == 'c': array += 0.5j
    path = f'{sys.argv[1]}/{len(contents)}.npy'
    with open(path, 'wb') as file:
        numpy.lib.format.write_array(file, numpy.array(array, order=order), version)
    numbers = array.ravel().astype(array.dtype.newbyteorder('='))
    if array.dtype.kind == 'c': numbers = numbers.view(numbers.real.dtype)
    contents.append([path, [*array.shape] + [2] * (array.dtype.kind == 'c'), [str(int(v) if v == int(v) else float(v)) for v in numbers]])
print(json.dumps(contents))
`;
    const folder = await mkdtemp(join(tmpdir(), 'invnet-numpy-'));
    try {
      const { stdout, stderr } = spawnSync('python3', ['-c', writer, folder], { encoding: 'utf8' });
      expect(stderr).toBe('');
      const contents: [string, number[], string[]][] = JSON.parse(stdout);
      expect(contents.length).toBe(168);
      for (const [path, shape, numbers] of contents) {
        const read = parseNpy(await readFile(path), path);
        expect([read.shape, Array.from(read.data, String)]).toEqual([shape, numbers]);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });
}
