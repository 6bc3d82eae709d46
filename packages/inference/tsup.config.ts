import base from '../../tsup.config.base.ts';

export default {
  ...base,
  entry: { index: 'src/index.ts', report: 'src/report/index.ts', tasks: 'src/tasks/index.ts' },
};
