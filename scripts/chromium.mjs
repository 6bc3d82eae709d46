/** Where this machine's Chromium is, and how it is started so that its GPU interfaces run without a GPU. */
import { execFileSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import process from 'node:process';

/**
 * The browser of `CHROMIUM_PATH`, or the first on the path.
 * @returns {string | undefined}
 */
export function chromiumPath() {
  if (process.env.CHROMIUM_PATH) return process.env.CHROMIUM_PATH;
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const folders = (process.env.PATH ?? '').split(delimiter);
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(existsSync);
}

/**
 * WebGPU and WebGL2 on SwiftShader, the rasterizer that Chromium brings. Dawn zeroes workgroup memory by
 * a loop of its own, as in packages/tensor/src/gpu/webgpu.ts.
 */
export const chromiumFlags = [
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension',
  '--enable-features=Vulkan,WebGPU',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
];

/**
 * The description of SwiftShader's Vulkan driver beside the browser: Dawn in Node.js runs on it when
 * `VK_ICD_FILENAMES` names it.
 * @returns {string | undefined}
 */
export function swiftShaderIcd() {
  const browser = chromiumPath();
  if (!browser) return undefined;
  const folders = ['/usr/lib/chromium', dirname(realpathSync(browser))];
  return folders.map((folder) => join(folder, 'vk_swiftshader_icd.json')).find(existsSync);
}

/**
 * Is there a loader of Vulkan drivers, which Dawn in Node.js needs?
 * @returns {boolean}
 */
export function hasVulkanLoader() {
  if (process.platform !== 'linux') return true;
  try {
    return execFileSync('ldconfig', ['-p'], { encoding: 'utf8' }).includes('libvulkan.so.1');
  } catch {
    return false;
  }
}
