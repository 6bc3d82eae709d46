import { afterAll, beforeAll, it } from 'vitest';
import { figures, Site } from './page.ts';
let site: Site;
beforeAll(async () => { site = await Site.start(); });
afterAll(() => site?.stop());
it('lost', async () => {
  const { page, problems } = await site.open('?density=banana&network=realnvp&depth=1&width=8&backend=webgpu&autostart');
  await page.waitForFunction(() => Number(document.getElementById('app')!.dataset.step) >= 70, null, { timeout: 100_000 });
  const crash = (await site.open('')).page;
  crash.goto('chrome://gpucrash').catch((e) => console.log('goto', String(e).slice(0, 100)));
  for (let i = 0; i < 25; i++) {
    await page.waitForTimeout(2000);
    const m = await page.textContent('#message');
    console.log(i, m, await figures(page), await page.getAttribute('#app', 'data-status'));
    if (m && i > 12) break;
  }
  console.log(problems, await page.textContent('#adapter'));
}, 200_000);
