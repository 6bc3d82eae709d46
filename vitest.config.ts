import process from 'node:process';
import { playwright } from '@vitest/browser-playwright';
import { configDefaults, defineConfig } from 'vitest/config';
import {
  chromiumFlags,
  chromiumPath,
  hasVulkanLoader,
  swiftShaderIcd,
} from './scripts/chromium.mjs';

const browser = chromiumPath();
const icd = swiftShaderIcd();
if (process.env.CI && !(browser && icd && hasVulkanLoader())) {
  throw new Error('Tests need Chromium and a Vulkan loader: apt-get install chromium libvulkan1');
}
if (!browser) console.warn('Chromium was not found: tests in a browser are left out.');
// A machine with a GPU of its own tests on that; SwiftShader stands in for one.
if (icd && !process.env.INVNET_TEST_GPU) process.env.VK_ICD_FILENAMES ??= icd;

/** What the gpu backend's kernels compute on software takes minutes: where Chromium does it, Node.js need not as well. */
const inChromiumAlone =
  browser && !process.env.INVNET_TEST_GPU
    ? ['packages/tensor/tests/conformance/tilings.test.ts']
    : [];

/** Pages wait for what happens in them; a GPU that is emulated beside them takes all cores. So groups run in turn. */
const pages = 'examples/playground/tests/**/*.test.ts';

const settings = { testTimeout: 120_000, hookTimeout: 120_000 };

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        test: {
          ...settings,
          name: 'node',
          include: ['packages/*/tests/**/*.test.ts', 'examples/*/tests/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...inChromiumAlone, pages],
          // Dawn's threads are not those of a worker thread.
          pool: 'forks',
        },
      },
      {
        test: {
          ...settings,
          name: 'pages',
          include: [pages],
          pool: 'forks',
          sequence: { groupOrder: 1 },
        },
      },
      ...(browser
        ? [
            {
              optimizeDeps: { include: ['fast-check'] },
              test: {
                ...settings,
                name: 'chromium',
                sequence: { groupOrder: 2 },
                include: [
                  'packages/tensor/tests/conformance/*.test.ts',
                  'packages/tensor/tests/gpu.test.ts',
                ],
                browser: {
                  enabled: true,
                  headless: true,
                  screenshotFailures: false,
                  provider: playwright({
                    launchOptions: { executablePath: browser, args: chromiumFlags },
                  }),
                  instances: [{ browser: 'chromium' as const }],
                },
              },
            },
          ]
        : []),
    ],
  },
});
