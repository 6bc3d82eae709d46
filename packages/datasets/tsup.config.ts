import base from '../../tsup.config.base.ts';

export default {
  ...base,
  entry: ['index', 'dicom', 'nifti', 'npy'].map((name) => `src/${name}.ts`),
};
