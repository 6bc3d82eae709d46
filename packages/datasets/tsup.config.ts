import base from '../../tsup.config.base.ts';

export default {
  ...base,
  entry: [
    'index',
    'csv',
    'dicom',
    'hdf5',
    'images',
    'jpeg',
    'nifti',
    'npy',
    'npz',
    'png',
    'segy',
    'zarr',
  ].map((name) => `src/${name}.ts`),
};
