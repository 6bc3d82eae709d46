/** Right calls of the readers of files, which are entries of `@invnet/datasets`, and of the packages of data. */
import { inflateSync } from 'node:zlib';
import * as colin27 from '@invnet/data-colin27';
import * as indianPines from '@invnet/data-indian-pines';
import * as dicom from '@invnet/datasets/dicom';
import * as hdf5 from '@invnet/datasets/hdf5';
import * as nifti from '@invnet/datasets/nifti';
import * as npy from '@invnet/datasets/npy';
import * as segy from '@invnet/datasets/segy';
import { type Calls, call, make } from './call.ts';

/** What all of them export. */
export const files = { ...colin27, ...indianPines, ...dicom, ...hdf5, ...nifti, ...npy, ...segy };

/** Calls of all of them. */
export function fileCalls(): Calls {
  const affine = [
    [1, 0, 0, 0],
    [0, 0, 2, 0],
    [0, -1, 0, 0],
  ];
  const descr = "{'descr': '|u1', 'fortran_order': True, 'shape': (1, 1), }".padEnd(118);
  const array = Buffer.from(`\x93NUMPY\x01\x00v\x00${descr}\x07`, 'latin1');
  return {
    colin27: [],
    indianPinesCube: [],
    indianPinesLabels: [],
    indianPinesClasses: [],
    loadIndianPines: [call(indianPines.loadIndianPines, [])],
    DicomFormatError: [make(dicom.DicomFormatError, [])],
    parseDicomSeries: [call(dicom.parseDicomSeries, [[{ name: 'a slice', bytes: slice() }]])],
    Hdf5FormatError: [make(hdf5.Hdf5FormatError, [])],
    parseHdf5: [call(hdf5.parseHdf5, [container(), { dataset: 'x', name: 'a file' }])],
    NiftiFormatError: [make(nifti.NiftiFormatError, [])],
    parseNifti: [call(nifti.parseNifti, [volume(), { name: 'a volume', affine }])],
    NpyFormatError: [make(npy.NpyFormatError, [])],
    parseNpy: [call(npy.parseNpy, [array, 'an array'])],
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

/** A SEG-Y file of one trace of one byte. */
function trace(): Uint8Array {
  const file = Buffer.alloc(3841);
  file.writeInt16BE(1, 3220);
  file.writeInt16BE(8, 3224);
  return file;
}
