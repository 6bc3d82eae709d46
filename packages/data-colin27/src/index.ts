/**
 * Colin27, the magnetic resonance image of one brain, as a NIfTI file. Left out: reading it, which
 * `@invnet/datasets/nifti` does.
 */

/**
 * Where the file is, `colin27.nii.gz` of 1.4 MB: the average of 27 T1-weighted scans of one person (Holmes et al.,
 * 1998) in Talairach space, skull removed, 161 × 191 × 151 voxels of 1 mm, bytes. In Node.js an address of a file,
 * which `readFile` takes; in a page one to `fetch`.
 *
 * @example
 * const volume = await parseNifti(await readFile(colin27)); // shape [151, 191, 161]
 */
export const colin27 = new URL('../data/colin27.nii.gz', import.meta.url);
