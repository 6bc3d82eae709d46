"""Writes the files beside it, by NumPy, Pillow, gzip and zarr: `python3 record.py`. Numbers follow from their place."""

import gzip
import struct
from pathlib import Path

import numpy
import zarr
from PIL import Image

here = Path(__file__).parent
rows = numpy.arange(7 * 2 * 3).reshape(7, 2, 3)

# NPY of another order and byte order, and archives.
numpy.save(here / "fortran-big-endian.npy", numpy.asfortranarray(rows.astype(">f4") / 2))
numpy.save(here / "rows.npy", rows.astype("int64"))
numpy.savez(here / "stored.npz", theta=rows[:, 0].astype("f8"), x=rows[:, 1].astype("f4"))
numpy.savez_compressed(here / "compressed.npz", theta=rows[:, 0].astype("f8"), x=numpy.zeros((50, 3), "f4"))

# Images of 3 rows and 4 columns.
ramp = numpy.arange(12).reshape(3, 4)
colours = numpy.stack([ramp, 20 * ramp, 255 - ramp], -1).astype("uint8")
alpha = numpy.concatenate([colours, (ramp[..., None] * 21).astype("uint8")], -1)
Image.fromarray((ramp * 20).astype("uint8")).save(here / "grey-8.png")
Image.fromarray((ramp * 5000).astype("uint16")).save(here / "grey-16.png")
Image.fromarray(colours).save(here / "rgb-8.png")
Image.fromarray(alpha).save(here / "rgba-8.png")
Image.fromarray(colours).quantize(12).save(here / "palette.png")
Image.fromarray(ramp > 5).save(here / "bits.png")
smooth = numpy.add.outer(4 * numpy.arange(16), 3 * numpy.arange(24)).astype("uint8")
Image.fromarray(smooth).save(here / "grey.jpg", quality=95)
sums = numpy.stack([smooth, smooth, 200 - smooth], -1)
Image.fromarray(sums).save(here / "rgb.jpg", quality=95, progressive=True, subsampling=0)

# MNIST as it is handed around: compressed, and with a dot in the name.
folder = here / "mnist"
folder.mkdir(exist_ok=True)
images = struct.pack(">BBBBIII", 0, 0, 8, 3, 2, 28, 28) + bytes(i % 251 for i in range(2 * 784))
labels = struct.pack(">BBBBI", 0, 0, 8, 1, 2) + bytes([7, 2])
(folder / "t10k-images.idx3-ubyte.gz").write_bytes(gzip.compress(images, mtime=0))
(folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels, mtime=0))

# Zarr, of both versions; the last chunk is not full.
for version in (2, 3):
    zarr.create_array(
        here / f"v{version}.zarr", data=rows.astype("f4"), chunks=(3, 2, 2), zarr_format=version, overwrite=True
    )
fortran = {"shape": rows.shape, "chunks": (3, 2, 3), "dtype": "i8", "zarr_format": 2, "order": "F", "fill_value": 7}
array = zarr.create_array(here / "fortran.zarr", overwrite=True, compressors=None, **fortran)
array[:6] = rows[:6]  # The last chunk is never written.
