import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShapeError, ValueError } from '@invnet/tensor';
import { describe, expect, it } from 'vitest';
import { ImageFormatError, imageRows } from '../src/images.ts';
import { JpegFormatError, parseJpeg } from '../src/jpeg.ts';
import { PngFormatError, parsePng } from '../src/png.ts';
import { expectTypedErrors, range } from './damage.ts';

const folder = join(import.meta.dirname, 'files');
const recorded = async (name: string) => new Uint8Array(await readFile(join(folder, name)));

/** Of 3 rows and 4 columns. */
const ramp = (value: (i: number) => number) => Array.from({ length: 12 }, (_, i) => value(i));
const [red, green, blue] = [ramp((i) => i), ramp((i) => 20 * i), ramp((i) => 255 - i)];
const colours = [...red, ...green, ...blue];

describe('parsePng', () => {
  it.each<[string, number, number, number[]]>([
    ['grey-8', 1, 256, green],
    ['grey-16', 1, 2 ** 16, ramp((i) => 5000 * i)],
    ['rgb-8', 3, 256, colours],
    ['rgba-8', 4, 256, [...colours, ...ramp((i) => 21 * i)]],
    ['palette', 3, 256, colours],
    ['bits', 1, 2, ramp((i) => (i > 5 ? 1 : 0))],
  ])('reads %s, channel by channel', async (name, channels, levels, numbers) => {
    const data = levels > 256 ? Uint16Array.from(numbers) : Uint8Array.from(numbers);
    expect(parsePng(await recorded(`${name}.png`))).toEqual({
      shape: [channels, 3, 4],
      data,
      levels,
    });
  });

  it('gives typed errors for all that is foreign, cut short or damaged', async () => {
    expect(() => parsePng(Buffer.from('GIF89a'), 'x.png')).toThrow(/x\.png is not a PNG.*'GIF89a'/);
    expect(() => parsePng(new Uint8Array(0))).toThrow(PngFormatError);
    expect(() => parsePng([1] as never)).toThrow(ValueError);
    for (const name of ['grey-16', 'palette']) {
      const file = await recorded(`${name}.png`);
      // What ends the file says nothing of the image.
      const everywhere = { lengths: range(0, file.length - 12), places: range(0, file.length) };
      await expectTypedErrors(file, (bytes) => parsePng(bytes), everywhere);
    }
  });
});

describe('parseJpeg', () => {
  it('reads grey and colours, baseline and progressive, to the loss of the format', async () => {
    const smooth = Array.from({ length: 16 * 24 }, (_, i) => 4 * Math.floor(i / 24) + 3 * (i % 24));
    const near = (numbers: ArrayLike<number>, expected: number[]) => {
      expect(numbers.length).toBe(expected.length);
      const worst = expected.map((v, i) => Math.abs(v - numbers[i]!));
      expect(Math.max(...worst)).toBeLessThanOrEqual(6);
    };
    const grey = parseJpeg(await recorded('grey.jpg'));
    expect([grey.shape, grey.levels]).toEqual([[1, 16, 24], 256]);
    near(grey.data, smooth);
    const rgb = parseJpeg(await recorded('rgb.jpg'));
    expect(rgb.shape).toEqual([3, 16, 24]);
    near(rgb.data, [...smooth, ...smooth, ...smooth.map((v) => 200 - v)]);
  });

  it('gives typed errors, or numbers, for all that is foreign, cut short or damaged', async () => {
    expect(() => parseJpeg(Buffer.from('a text'), 'x.jpg')).toThrow(/x\.jpg is not a JPEG file/);
    expect(() => parseJpeg(new Uint8Array(0))).toThrow(JpegFormatError);
    for (const name of ['grey', 'rgb']) {
      const file = await recorded(`${name}.jpg`);
      await expectTypedErrors(file, (bytes) => parseJpeg(bytes), {
        lengths: range(0, file.length, 3),
        places: range(0, file.length, 7),
      });
    }
  });
});

describe('imageRows', () => {
  const files = (...names: string[]) => names.map((name) => join(folder, name));

  it('reads the images of a folder, in the order of their names or a random one', async () => {
    const temporary = await mkdtemp(join(tmpdir(), 'invnet-images-'));
    try {
      const numbers = ['grey-8', 'grey-8', 'grey-8'].map((name) => recorded(`${name}.png`));
      for (const [i, bytes] of (await Promise.all(numbers)).entries()) {
        await writeFile(join(temporary, `${i}.png`), bytes);
      }
      await writeFile(join(temporary, 'notes.txt'), 'none');
      const source = await imageRows({ files: temporary, held: 2 });
      expect([source.count, source.shapes, source.levels]).toEqual([3, { x: [1, 3, 4] }, 256]);
      const shapes: (readonly number[])[] = [];
      for await (const { x } of source.batches({ batchSize: 2, seed: 1, epoch: 0 })) {
        shapes.push(x.shape);
        expect(Array.from(x.data.subarray(0, 12))).toEqual(green);
      }
      expect(shapes).toEqual([
        [2, 1, 3, 4],
        [1, 1, 3, 4],
      ]);
    } finally {
      await rm(temporary, { recursive: true });
    }
  });

  it('takes files of a page, PNG and JPEG by what they hold', async () => {
    const jpeg = new File([await recorded('grey.jpg')], 'a.png');
    expect((await imageRows({ files: [jpeg] })).shapes.x).toEqual([1, 16, 24]);
  });

  it('names files of another shape or kind', async () => {
    const mixed = await imageRows({ files: files('grey-8.png', 'rgb-8.png') });
    const batches = mixed.batches({ batchSize: 2, seed: 1, epoch: 0 });
    const used = (async () => {
      for await (const _ of batches);
    })();
    await expect(used).rejects.toThrow(ShapeError);
    await expect(used).rejects.toThrow(/rgb-8\.png is \[3, 3, 4\] of 256 levels, .*grey-8\.png is/);
    await expect(imageRows({ files: files('rows.npy') })).rejects.toThrow(ImageFormatError);
    await expect(imageRows({ files: files('rows.npy') })).rejects.toThrow(/rows\.npy starts with/);
    await expect(imageRows({ files: join(folder, 'mnist') })).rejects.toThrow(
      /none of the 2 files/,
    );
    await expect(imageRows({ files: join(folder, 'none') })).rejects.toThrow(/expected a folder/);
    await expect(imageRows({ files: [] })).rejects.toThrow(ValueError);
  });
});
