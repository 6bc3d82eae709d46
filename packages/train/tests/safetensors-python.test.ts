/**
 * The format's own package for Python, the `safetensors` of PyPI, reads what is written here and the
 * other way round: as recorded bytes everywhere, and by itself where `python3` has it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Flow } from '@invnet/flows';
import { Parameter } from '@invnet/layers';
import { Glow } from '@invnet/networks';
import { setBackend, tensor } from '@invnet/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  checkpointBytes,
  type HostTensor,
  modelBytes,
  readSafetensors,
  type Safetensors,
  writeSafetensors,
} from '../src/index.ts';

/** What a file holds, as JSON has it. */
interface Contents {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: Readonly<
    Record<string, readonly [shape: readonly number[], numbers: number[]]>
  >;
}

function contentsOf({ tensors, metadata }: Safetensors): Contents {
  const listed = [...tensors].map(([name, { shape, data }]) => [name, [shape, [...data]]]);
  return { metadata, tensors: Object.fromEntries(listed) };
}

const ours: Safetensors = {
  tensors: new Map<string, HostTensor>([
    ['w', { shape: [2, 1], data: Float32Array.of(1.5, -2) }],
    ['Größe "π" 𝛼', { shape: [], data: Float64Array.of(0.1) }],
    ['empty', { shape: [2, 0], data: Float32Array.of() }],
  ]),
  metadata: { step: '7', 'a\nb': 'ü' },
};
/** The bytes of `ours`, which the package has read. */
const ourHeader =
  '{"__metadata__":{"step":"7","a\\nb":"ü"},' +
  '"Größe \\"π\\" 𝛼":{"dtype":"F64","shape":[],"data_offsets":[0,8]},' +
  '"w":{"dtype":"F32","shape":[2,1],"data_offsets":[8,16]},' +
  '"empty":{"dtype":"F32","shape":[2,0],"data_offsets":[16,16]}}';
const ourNumbers = '9a9999999999b93f0000c03f000000c0';

/** Written by `safetensors.numpy.save`, version 0.8: a tensor of each type that NumPy has. */
const theirHeader =
  '{"__metadata__":{"step":"7"},"u64":{"dtype":"U64","shape":[1],"data_offsets":[0,8]},' +
  '"i64":{"dtype":"I64","shape":[1],"data_offsets":[8,16]},' +
  '"f64":{"dtype":"F64","shape":[2],"data_offsets":[16,32]},' +
  '"c64":{"dtype":"C64","shape":[1],"data_offsets":[32,40]},' +
  '"empty":{"dtype":"F32","shape":[2,0],"data_offsets":[40,40]},' +
  '"f32":{"dtype":"F32","shape":[],"data_offsets":[40,44]},' +
  '"u32":{"dtype":"U32","shape":[1],"data_offsets":[44,48]},' +
  '"i32":{"dtype":"I32","shape":[1],"data_offsets":[48,52]},' +
  '"f16":{"dtype":"F16","shape":[2,1],"data_offsets":[52,56]},' +
  '"u16":{"dtype":"U16","shape":[1],"data_offsets":[56,58]},' +
  '"i16":{"dtype":"I16","shape":[1],"data_offsets":[58,60]},' +
  '"i8":{"dtype":"I8","shape":[2],"data_offsets":[60,62]},' +
  '"u8":{"dtype":"U8","shape":[2],"data_offsets":[62,64]},' +
  '"bool":{"dtype":"BOOL","shape":[2],"data_offsets":[64,66]}}';
const theirNumbers =
  'ffffffffffff1f00f9ffffffffffffff9a9999999999b93f0000000000000080000000000000803f' +
  'cdcccc3dffffffff00000080003e00c0ffff0080807f00ff0100';
const theirs: Contents['tensors'] = {
  u64: [[1], [2 ** 53 - 1]],
  i64: [[1], [-7]],
  f64: [[2], [0.1, -0]],
  empty: [[2, 0], []],
  f32: [[], [Math.fround(0.1)]],
  u32: [[1], [2 ** 32 - 1]],
  i32: [[1], [-(2 ** 31)]],
  f16: [
    [2, 1],
    [1.5, -2],
  ],
  u16: [[1], [65535]],
  i16: [[1], [-32768]],
  i8: [[2], [-128, 127]],
  u8: [[2], [0, 255]],
  bool: [[2], [1, 0]],
};

function fileOf(header: string, numbers: string): Buffer {
  const text = Buffer.from(header);
  const padded = Buffer.concat([text, Buffer.alloc(-text.length & 7, ' ')]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([length, padded, Buffer.from(numbers, 'hex')]);
}

describe('files of the Python package', () => {
  it('are read, and ours are as it has read them', () => {
    expect(Buffer.from(writeSafetensors(ours))).toEqual(fileOf(ourHeader, ourNumbers));
    const { tensors, metadata } = readSafetensors(fileOf(theirHeader, theirNumbers));
    expect(() => tensors.get('c64')!.data).toThrow(/'c64' as C64, which cannot be read as floats/);
    const readable = new Map([...tensors].filter(([name]) => name !== 'c64'));
    expect(contentsOf({ tensors: readable, metadata })).toEqual({
      metadata: { step: '7' },
      tensors: theirs,
    });
  });
});

const python = spawnSync('python3', ['-c', 'import numpy, safetensors'], { encoding: 'utf8' });

if (python.status !== 0) {
  it('python3 lacks numpy or safetensors: the recorded bytes stand in for the package', () => {
    expect(`${python.error ?? ''}${python.stderr ?? ''}`).toMatch(/ModuleNotFoundError|ENOENT/);
  });
} else {
  describe('the Python package', () => {
    const reader = `
import json, sys
from safetensors import safe_open

def contents(path):
    with safe_open(path, 'numpy') as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}
        tensors = {name: [a.shape, a.ravel().tolist()] for name, a in arrays.items()}
        return {'metadata': file.metadata(), 'tensors': tensors}

print(json.dumps([contents(path) for path in sys.argv[1:]]))
`;
    let folder: string;
    beforeAll(async () => {
      await setBackend('reference');
      folder = await mkdtemp(join(tmpdir(), 'invnet-python-'));
    });
    afterAll(() => rm(folder, { recursive: true }));

    it('reads files of all kinds that are written here, number for number', async () => {
      const { parameters } = new Flow({
        network: new Glow({ channels: 2, ndims: 0, hidden: 3, scales: 1 }),
      });
      const named = [new Parameter('optimizer/π', tensor([1, 2 ** -149, 3e38]))];
      const files = [
        writeSafetensors(ours),
        writeSafetensors({ tensors: new Map(), metadata: {} }),
        await modelBytes(new Glow({ channels: 2, ndims: 0, hidden: 3, scales: 1 }), { note: 'x' }),
        await checkpointBytes({ parameters, metadata: { step: '1' } }),
        await checkpointBytes({ parameters: named, metadata: {} }),
      ];
      const paths = files.map((_, i) => join(folder, `${i}.safetensors`));
      await Promise.all(files.map((bytes, i) => writeFile(paths[i]!, bytes)));
      const { stdout, stderr } = spawnSync('python3', ['-c', reader, ...paths], {
        encoding: 'utf8',
        maxBuffer: 2 ** 26,
      });
      expect(stderr).toBe('');
      expect(JSON.parse(stdout)).toEqual(files.map((bytes) => contentsOf(readSafetensors(bytes))));
    });
  });
}
