import base from '../../tsup.config.base.ts';

export default {
  ...base,
  entry: ['index', 'dicom', 'hdf5', 'nifti', 'npy', 'segy'].map((name) => `src/${name}.ts`),
};
