/** Right calls of the readers of files, which are entries of `@invnet/datasets`, and of the packages of data. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import * as colin27 from '@invnet/data-colin27';
import * as indianPines from '@invnet/data-indian-pines';
import * as csv from '@invnet/datasets/csv';
import * as dicom from '@invnet/datasets/dicom';
import * as hdf5 from '@invnet/datasets/hdf5';
import * as images from '@invnet/datasets/images';
import * as jpeg from '@invnet/datasets/jpeg';
import * as nifti from '@invnet/datasets/nifti';
import * as npy from '@invnet/datasets/npy';
import * as npz from '@invnet/datasets/npz';
import * as png from '@invnet/datasets/png';
import * as segy from '@invnet/datasets/segy';
import * as zarr from '@invnet/datasets/zarr';
import { type Calls, call, make, on } from './call.ts';

/** What all of them export. */
export const files = {
  ...colin27,
  ...indianPines,
  ...csv,
  ...dicom,
  ...hdf5,
  ...images,
  ...jpeg,
  ...nifti,
  ...npy,
  ...npz,
  ...png,
  ...segy,
  ...zarr,
};

/** Calls of all of them. */
export async function fileCalls(): Promise<Calls> {
  const affine = [
    [1, 0, 0, 0],
    [0, 0, 2, 0],
    [0, -1, 0, 0],
  ];
  const descr = "{'descr': '|u1', 'fortran_order': True, 'shape': (1, 1), }".padEnd(118);
  const array = Buffer.from(`\x93NUMPY\x01\x00v\x00${descr}\x07`, 'latin1');
  const rows = new Blob([npy.writeNpy({ shape: [3, 1], data: Float32Array.of(1, 2, 3) })]);
  const weights = new Blob([npy.writeNpy({ shape: [3], data: Float64Array.of(1, 0, 2) })]);
  const blocks = { blockRows: 2, windowBlocks: 2, missing: 'mask', range: [0, 2] };
  const table = new TextEncoder().encode('a,b\n1,x\n3,y\n');
  const format = { delimiter: ',', header: true, categories: { b: ['x', 'y'] } };
  const ones = { shape: [2, 1], data: Float32Array.of(1, 1) };
  const archive = npz.writeNpz({ x: ones });
  const pixel = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgBwAACQAIICPDjAAAAABJRU5ErkJggg==',
    'base64',
  );
  const x = chunks();
  return {
    colin27: [],
    indianPinesCube: [],
    indianPinesLabels: [],
    indianPinesClasses: [],
    loadIndianPines: [call(indianPines.loadIndianPines, [])],
    CsvFormatError: [make(csv.CsvFormatError, [])],
    parseCsv: [
      call(csv.parseCsv, [
        table,
        { ...format, columns: ['b', 0], missing: 'keep', name: 'a table' },
      ]),
    ],
    csvRows: [
      call(csv.csvRows, [
        { ...format, ...blocks, file: new Blob([table]), x: [0], context: ['b'], weights: 'a' },
      ]),
    ],
    DicomFormatError: [make(dicom.DicomFormatError, [])],
    parseDicomSeries: [call(dicom.parseDicomSeries, [[{ name: 'a slice', bytes: slice() }]])],
    Hdf5FormatError: [make(hdf5.Hdf5FormatError, [])],
    parseHdf5: [call(hdf5.parseHdf5, [container(), { dataset: 'x', name: 'a file' }])],
    ImageFormatError: [make(images.ImageFormatError, [])],
    imageRows: [call(images.imageRows, [{ files: [new Blob([pixel])], held: 1 }])],
    JpegFormatError: [make(jpeg.JpegFormatError, [])],
    parseJpeg: [call(jpeg.parseJpeg, [photograph(), 'a photograph'])],
    NiftiFormatError: [make(nifti.NiftiFormatError, [])],
    parseNifti: [call(nifti.parseNifti, [volume(), { name: 'a volume', affine }])],
    NpyFormatError: [make(npy.NpyFormatError, [])],
    parseNpy: [call(npy.parseNpy, [array, 'an array'])],
    npyRows: [
      call(npy.npyRows, [{ ...blocks, x: rows, context: rows, weights }]),
      on(await npy.npyRows({ x: rows }), 'batches', [
        { batchSize: 2, seed: 1, epoch: 0, from: 0, shuffle: true },
      ]),
    ],
    npyHeader: [call(npy.npyHeader, [[2, 3], 'float32'])],
    writeNpy: [call(npy.writeNpy, [{ shape: [2], data: Uint8Array.of(1, 2) }])],
    NpzFormatError: [make(npz.NpzFormatError, [])],
    parseNpz: [call(npz.parseNpz, [archive, 'an archive'])],
    writeNpz: [call(npz.writeNpz, [{ x: ones }, { compress: true }])],
    PngFormatError: [make(png.PngFormatError, [])],
    parsePng: [call(png.parsePng, [pixel, 'a pixel'])],
    ZarrFormatError: [make(zarr.ZarrFormatError, [])],
    zarrRows: [call(zarr.zarrRows, [{ ...blocks, x, context: x }])],
    SegyFormatError: [make(segy.SegyFormatError, [])],
    parseSegy: [call(segy.parseSegy, [trace(), 'a trace'])],
  };
}

/** A NIfTI file of one voxel, a byte. */
function volume(): Uint8Array {
  const file = Buffer.alloc(353);
  file.writeInt32LE(348, 0);
  for (const at of [40, 42]) file.writeInt16LE(1, at);
  file.writeInt16LE(2, 70);
  file.write('n+1', 344);
  return file;
}

/** A DICOM file of one pixel of 16 bits. */
function slice(): Uint8Array {
  const compressed =
    'eNpjYBhY4OLp7KvAYMTgEszGYBADhAoKDOZAHg+DYQyYHwOkFTQYBBhCg5kYGBk0GAThLAOgOhagOkOgPAMjSFQAKMoIZT2oF2Dw' +
    'D2dgYALawsoAAG7wDvg=';
  return inflateSync(Buffer.from(compressed, 'base64'));
}

/** An HDF5 file of two bytes. */
function container(): Uint8Array {
  const compressed =
    'eNrr9HBx4+WS4mLm4GCAgf9QwAQVMoCKK0a5ePt7uAQxMVQwCSErhAEuJgZGBgY2HgYgxVixGWaeBwPVQOZPmRqwE4AWMIowMDAx' +
    'MjIyQeVgNDMPA6MAA8gNIMDBwAp0FTMXB9DFzIwMHKhqGXYwDFlw72foX4ZRMApGwSgYBaOALMAIAAi+JbY=';
  return inflateSync(Buffer.from(compressed, 'base64'));
}

/** A JPEG file of one pixel. */
function photograph(): Uint8Array {
  return Buffer.from(
    '/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDACgcHiMeGSgjISMtKygwPGRBPDc3PHtYXUlkkYCZlo+AjIqgtObDoKrarYqMyP/L2u71' +
      '////m8H////6/+b9//j/wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAABf/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAI' +
      'AQEAAD8AHf/Z',
    'base64',
  );
}

/** A folder that is a Zarr array of three ones, no chunk of which was written. */
function chunks(): string {
  const array = {
    zarr_format: 2,
    shape: [3, 1],
    chunks: [2, 1],
    dtype: '<f4',
    order: 'C',
    fill_value: 1,
  };
  mkdirSync('ones.zarr', { recursive: true });
  writeFileSync('ones.zarr/.zarray', JSON.stringify({ ...array, compressor: null, filters: null }));
  return 'ones.zarr';
}

/** A SEG-Y file of one trace of one byte. */
function trace(): Uint8Array {
  const file = Buffer.alloc(3841);
  file.writeInt16BE(1, 3220);
  file.writeInt16BE(8, 3224);
  return file;
}
