#!/usr/bin/env python3
"""What Python's imagehash takes for the same work as image_phash: the number to beat.

    imagehash_times.py FILE... >times.tsv

One process, one thread, each file read once beforehand so that the disk is out of it. For each file one Image.open,
then average_hash, dhash, phash and whash of the usual size on it, as an indexing script does. The table (path, width,
height, seconds to open and decode, seconds of each hash) goes to standard output, the sum to standard error. Needs
imagehash==4.3.2.
"""

import os

for library in ("OMP", "OPENBLAS", "MKL"):  # read when numpy loads
    os.environ[f"{library}_NUM_THREADS"] = "1"

import sys
import time
import warnings

import imagehash
from PIL import Image

METHODS = [imagehash.average_hash, imagehash.dhash, imagehash.phash, imagehash.whash]


def main():
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None
    # The first calls import scipy and pywt.
    for method in METHODS:
        method(Image.new("L", (64, 64)))
    print("path", "width", "height", "decode", "ahash", "dhash", "dct", "whash", sep="\t")
    total, pixels, done, sums = 0.0, 0, 0, [0.0] * (1 + len(METHODS))
    for path in sys.argv[1:]:
        try:
            with open(path, "rb") as file:
                file.read()
            marks = [time.perf_counter()]
            with Image.open(path) as image:
                image.load()
                marks.append(time.perf_counter())
                for method in METHODS:
                    method(image)
                    marks.append(time.perf_counter())
                width, height = image.size
        except Exception as error:  # noqa: BLE001: whatever Pillow raises for a file it cannot read
            print(f"left out {path}: {error}", file=sys.stderr)
            continue
        seconds = [after - before for before, after in zip(marks, marks[1:])]
        print(path, width, height, *(f"{part:.4f}" for part in seconds), sep="\t", flush=True)
        total, pixels, done = total + sum(seconds), pixels + width * height, done + 1
        sums = [have + part for have, part in zip(sums, seconds)]
    parts = ", ".join(
        f"{name} {part:.2f}" for name, part in zip(["decode", "ahash", "dhash", "dct", "whash"], sums)
    )
    print(f"{done} files, {pixels / 1e6:.0f} megapixels: {total:.2f} s ({parts})", file=sys.stderr)


if __name__ == "__main__":
    main()
