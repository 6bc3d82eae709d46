/**
 * Files of segyio, as recorded bytes everywhere, and written anew where `python3` has it; numbers are what it reads.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { parseSegy, SegyFormatError } from '../src/segy.ts';
import { expectTypedErrors, range } from './damage.ts';

/** By segyio 1.9: six traces of five samples, floats of IBM. */
const ibm = unpack(
  'H4sIAAAAAAACA+2Tu0rEQBSGx0siaLEiq+xj2ImNOdsK+wJWIl4rG7Gw3cra0kVS+QLiA+wmi8bLVrq9Nm7pnFlv1ThCFjQEYbI/Y+MfhpxA5k' +
    '/yhS8iSXfNuE2tHj22L3pJl5abK1Q4EbHpibr3MUESkSJkIuqD+17Afa/gvjdw3zu47wPbJ5/BfRLcx+A+sB8S7IcE+yHBfkiwHxLshwT7wWA/' +
    'GOwHg/1gsB8M9oPBfjDYDwb7wWA/GOyHAvuhwH4osB8K7IcC+6HAfiiwHwrshwL7ocB+9LF+iO/xhV8KS6HwzDEi/vO3mTBr8BfW7bbqhhDzi1' +
    'rrjrm4NGvsl5s988eHTc0868ycJ80q226uVoRo7YdiqXq4sKqTkwyD0XTe+PGFWj9ZMEgcM5gtzKA+s5vDYPDumxkGHQsGV44ZzBVmEB+f5jAY' +
    'T+etDINzCwbXDhlMDeNCML1Wy2HgpfN2hkHDgsGNYwaFXQjKBw85DPx03skwqFswuHXMoLALQeVo74vBJ3tiLm0oFAAA',
);

/** The same, floats of IEEE, little-endian. */
const ieee = unpack(
  'H4sIAAAAAAACA+2Uu0oDQRSGR2MixCIg6nPYqoWnsBJ8AWuvlY+QIo+hSEDwBcTeZDboekmlsbcxTcA5J96qdZQNhFmQbOZnbDzDsLOw55/Zb/' +
    'lWk6H7RtSiZpeeWpfduEPrjU0auzSxzdGdh4ggpUkIWZr64LxXcN4bOO8dnPcBzvvE5pkXcJ4B5zE4D+yHAfthwH4YsB8G7IcB+2HAfjDYDwb7' +
    'wWA/GOwHg/1gsB8M9oPBfjDYDwb7IWA/BOyHgP0QsB8C9kPAfgjYDwH7IWA/BOxHH+uHGqqSHfVKvVJU3+O//rKm7ZxI11u5u4+SpUWl2kmSXN' +
    'm7wq/PFu039zvrhp1ndq+yvc6NlXCxqqjXPJitLR/H1eowg8l0ve10PNv9RmUQB2Yw78WgsOIyGJx9x+lo52BwHZjBggeD08O1DIOpdL3rdJzn' +
    'YHATkMGMvwsZBoN/8l7mDUdncBuYgY8L5ceTDINSut53Omo5GNwFZuDnQvTD4AvrIYdAKBQAAA==',
);

describe('parseSegy', () => {
  it.each([
    ['IBM', ibm, 0.00599999725818634],
    ['IEEE, little-endian', ieee, 0.006000000052154064],
  ])('reads floats of %s', (_, file, small) => {
    const { shape, data, interval, headers, text } = parseSegy(file);
    expect([shape, interval]).toEqual([[6, 5], 4000]);
    expect([...data.subarray(25)]).toEqual([0, 1.5, -118.625, small, 3.3999999521443642e38]);
    expect(headers).toEqual({
      fieldRecord: new Int32Array(6).fill(7),
      channel: Int32Array.of(1, 2, 3, 4, 5, 6),
      ensemble: Int32Array.of(100, 101, 102, 103, 104, 105),
      inline: Int32Array.of(10, 10, 10, 11, 11, 11),
      crossline: Int32Array.of(20, 21, 22, 20, 21, 22),
      offset: Int32Array.of(0, -25, -50, -75, -100, -125),
      sourceX: new Float64Array(6).fill(123.45),
      sourceY: new Float64Array(6).fill(-0.5),
      receiverX: Float64Array.of(2, 2.01, 2.02, 2.03, 2.04, 2.05),
      receiverY: new Float64Array(6).fill(0.03),
      x: new Float64Array(6).fill(0.77),
      y: new Float64Array(6).fill(-0.77),
    });
    expect(text.split('\n').length).toBe(40);
    expect(text).toMatch(/^C 1 MADE BY SEGYIO \[A\]\nC 2 SECOND\nC 3\n/);
  });

  it('multiplies by scalars above 0, and reads texts beyond the first and ASCII', () => {
    const file = Buffer.concat([ibm.subarray(0, 3600), Buffer.alloc(3200), ibm.subarray(3600)]);
    file.fill(Buffer.from('C 1 IN ASCII'.padEnd(80)), 0, 3200);
    file.writeUInt16BE(0x0100, 3500);
    file.writeInt16BE(1, 3504);
    for (let trace = 0; trace < 6; trace++) file.writeInt16BE(10, 6800 + 260 * trace + 70);
    const { headers, text } = parseSegy(file);
    expect(headers.sourceX[5]).toBe(123450);
    expect(text).toMatch(/^C 1 IN ASCII\nC 1 IN ASCII\n/);
  });

  it.each([
    ['an empty file', new Uint8Array(0), /truncated, or no SEG-Y file: it has 0 bytes/],
    ['a text', Buffer.alloc(9000, 'x'), /not a SEG-Y file.* code is 30840; expected one of 1, 2/],
    [
      'traces cut short',
      ibm.subarray(0, 5100),
      /lies about its length: .*5 samples of 4 bytes.* 1500/,
    ],
    ['a length that is a lie', changed(3220, 6), /with its own header 264, but 1560 bytes/],
    [
      // As many bytes as three traces of 130 samples would have.
      'a length that fits the file but not the traces',
      Buffer.concat([changed(3220, 130).subarray(0, 3600), ibm.subarray(3600), Buffer.alloc(720)]),
      /says 130 samples in its header, but 5 in that of trace 1/,
    ],
    ['one trace of another length', changed(3600 + 260 + 114, 4), /but 4 in that of trace 2/],
    ['texts of unknown number', changed(3504, 0xffff, 0x0100), /says that it has -1 more texts/],
    ['more texts than bytes', changed(3504, 9, 0x0100), /its 9 more texts and a trace need/],
  ])('refuses %s', (_, file, message) => {
    expect(() => parseSegy(file, 'x.sgy')).toThrow(SegyFormatError);
    expect(() => parseSegy(file, 'x.sgy')).toThrow(message);
    expect(() => parseSegy(file, 'x.sgy')).toThrow(/^parseSegy: x\.sgy /);
  });

  it('gives typed errors, or numbers, for all that is cut short or damaged', async () => {
    const { length } = ibm;
    // A file that ends with a whole trace is a whole file.
    const lengths = [...range(0, length)].filter((n) => n < 3860 || (n - 3600) % 260 !== 0);
    const places = [...range(3200, 3600), ...range(3600, length, 3)];
    await expectTypedErrors(ibm, (bytes) => parseSegy(bytes), { lengths, places });
  });
});

function unpack(compressed: string): Buffer {
  return gunzipSync(Buffer.from(compressed, 'base64'));
}

/** The file of floats of IBM with another number of 16 bits at a place, and another revision. */
function changed(at: number, value: number, revision = 0): Buffer {
  const file = Buffer.from(ibm);
  file.writeUInt16BE(value, at);
  file.writeUInt16BE(revision, 3500);
  return file;
}

const python = spawnSync('python3', ['-c', 'import numpy, segyio'], { encoding: 'utf8' });

if (python.status !== 0) {
  it('python3 lacks numpy or segyio: the recorded bytes stand in for the package', () => {
    expect(`${python.error ?? ''}${python.stderr ?? ''}`).toMatch(/ModuleNotFoundError|ENOENT/);
  });
} else {
  it('reads what segyio writes, number for number', async () => {
    const writer = `
import json, sys
import numpy, segyio
contents = []
for seed, (code, endian) in enumerate([(1, 'big'), (2, 'big'), (3, 'big'), (5, 'big'), (5, 'little')]):
    random = numpy.random.default_rng(seed)
    spec = segyio.spec()
    spec.format, spec.samples, spec.tracecount, spec.endian = code, 4.0 * numpy.arange(37), 11, endian
    numbers = random.normal(size=(11, 37)) * 10.0 ** random.integers(-30, 30, (11, 37))
    if code in (2, 3): numbers = random.integers(-30000, 30000, (11, 37))
    path = f'{sys.argv[1]}/{seed}.sgy'
    with segyio.create(path, spec) as file:
        file.bin[segyio.BinField.Interval] = 2000
        for i, trace in enumerate(numbers):
            file.header[i] = {segyio.su.ns: 37, segyio.su.sx: int(random.integers(-9999, 9999)), segyio.su.scalco: -10}
            file.trace[i] = trace.astype({1: 'f4', 2: 'i4', 3: 'i2', 5: 'f4'}[code])
    with segyio.open(path, ignore_geometry=True, endian=endian) as file:
        sources = file.attributes(segyio.su.sx)[:] / 10
        contents.append([path, file.trace.raw[:].astype(float).ravel().tolist(), sources.tolist()])
print(json.dumps(contents))
`;
    const folder = await mkdtemp(join(tmpdir(), 'invnet-segyio-'));
    try {
      const { stdout, stderr } = spawnSync('python3', ['-c', writer, folder], { encoding: 'utf8' });
      expect(stderr).toBe('');
      const contents: [string, number[], number[]][] = JSON.parse(stdout);
      expect(contents.length).toBe(5);
      for (const [path, numbers, sources] of contents) {
        const { shape, data, headers } = parseSegy(await readFile(path), path);
        expect(shape).toEqual([11, 37]);
        expect([...data]).toEqual(numbers);
        expect([...headers.sourceX]).toEqual(sources);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });
}
