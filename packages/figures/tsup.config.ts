import base from '../../tsup.config.base.ts';

/** Once for Node.js, and once for pages, whose document is their own and which render nothing. */
export default [
  base,
  {
    ...base,
    entry: { browser: 'src/index.ts' },
    dts: false,
    clean: false,
    esbuildOptions(options: { conditions?: string[] }) {
      options.conditions = ['browser'];
    },
  },
];
