#!/usr/bin/env python3
"""The images in images/ and the hashes that Python's libraries print for them: what crates/photo must print too.

    make.py images                  writes images/, ../hostile/heic and ../hostile/avif again (their bytes depend on
                                    the encoders of Pillow 13.0.0, pillow-heif 1.8.1, and avifenc 0.11.1 of Debian 12)
    make.py golden                  images/ -> golden.tsv, every hash and size
    make.py jxl                     writes jxl/ and ../hostile/jxl again with cjxl (0.7.0 wrote them)
    make.py golden-jxl              jxl/ -> jxl.tsv, as golden, of what djxl (0.7.0) makes of it
    make.py photos FOLDER           a folder of photographs -> photos.tsv, the usual sizes
    make.py wallpapers FOLDER       what scripts/wallpapers unpacked -> wallpapers.tsv, the same

Needs imagehash==4.3.2, pdqhash==0.2.8, Pillow==13.0.0, pillow-heif==1.8.1 (they bring numpy, scipy and PyWavelets). A hash is what a user
of these gets: imagehash.X(Image.open(path)), pdqhash.compute(np.asarray(Image.open(path).convert("RGB"))). Nothing
rotates by EXIF. PDQ's 256 bits are printed as ThreatExchange does: bit 255 first, the order of pdqhash's vector.
`grey` and `rgb` are the first 16 hex digits of the SHA-256 of the pixels as Pillow converts them, by rows from the
top: where they agree and a hash does not, the hash is wrong; where they do not, the reader is (or JPEG's arithmetic
differs). `-` stands where Python raises.

What Pillow does that a reader may not expect, as these files show:
- 16-bit grey (PNG, TIFF; its mode I;16) becomes 8 bits by clipping at 255, not by its high byte: nearly all white. With
  colours or alpha beside it, 16 bits become their high byte.
- Alpha and tRNS are dropped, not blended: the colour under a transparent pixel counts, in GIF and WebP as well. A
  TIFF's premultiplied colours are divided again.
- A TIFF's orientation tag is applied as the file is read. EXIF's in JPEG, PNG and WebP is not.
- GIF's canvas outside the first frame has the first palette entry, or the transparent one where there is one; never the
  background that the header names. Of animations and of files with pages the first is taken.
- CMYK and YCCK become (255 - ink) * (255 - black) / 255, rounded, and grey from these. Adobe's inks are inverted first.
- Colour profiles and gAMA are ignored. A palette is looked up, then made grey. One bit becomes 0 and 255.
- BMP's fourth byte of 32 bits is not alpha.
- AVIF is not turned by the file's own properties, nor is its clean aperture cut out.
- pillow-heif turns HEIC by the file's own properties as it reads. libheif repeats samples of chroma, but interpolates
  them first where a picture with an odd side is turned, or a part of it begins at an odd place.

And the hashes:
- imagehash answers for every size from 1x1 on; PDQ says 64 zeros and quality 0 where a side is below 5, and noise with
  quality 0 for flat pictures.
- Many a whash hangs on the last bit of a double: values equal but for rounding lie on both sides of the median.
"""

import argparse
import hashlib
import sys
import warnings
from pathlib import Path

import imagehash
import numpy as np
import pdqhash
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()

HERE = Path(__file__).resolve().parent
METHODS = {
    "ahash": imagehash.average_hash,
    "dhash": imagehash.dhash,
    "dct": imagehash.phash,
    "whash": imagehash.whash,
}
ALL_SIZES = [(8, list(METHODS)), (16, list(METHODS)), (4, ["dhash", "whash"])]
USUAL_SIZES = ALL_SIZES[:1]
# In the order of pdqhash.compute_dihedral, after the unturned one.
TURNED = ["rotate90", "rotate180", "rotate270", "flipx", "flipy", "flipplus1", "flipminus1"]


def hex_of(bits):
    return f"{int(''.join(map(str, map(int, bits))), 2):064x}"


def digest(image, mode):
    return hashlib.sha256(image.convert(mode).tobytes()).hexdigest()[:16]


def attempt(compute, cells=1):
    """What it prints, or `-` where the library gives up."""
    try:
        return compute()
    except Exception as error:  # noqa: BLE001: whatever a library raises
        print(f"    {type(error).__name__}: {error}", file=sys.stderr)
        return ["-"] * cells


def row(path, name, sizes, dihedral, reader):
    """The cells of one file, or None where Pillow cannot open it."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    path = reader(path) if reader else path
    try:
        with Image.open(path) as image:
            image.load()
            facts = [image.mode, f"{image.width}x{image.height}", image.format]
    except Exception as error:  # noqa: BLE001
        print(f"  left out {name}: {error}", file=sys.stderr)
        return None
    cells = [name, sha256, *facts]
    cells += attempt(lambda: [digest(Image.open(path), mode) for mode in ("L", "RGB")], 2)
    for size, methods in sizes:
        for method in methods:
            cells += attempt(lambda: [str(METHODS[method](Image.open(path), hash_size=size))])
    pixels = np.asarray(Image.open(path).convert("RGB"))

    def pdq():
        bits, quality = pdqhash.compute(pixels)
        return [hex_of(bits), str(quality)]

    cells += attempt(pdq, 2)
    if dihedral:
        turned = attempt(lambda: [hex_of(bits) for bits in pdqhash.compute_dihedral(pixels)[0]], 8)
        assert turned[0] == cells[-2], f"{name}: the unturned of the eight differs"
        cells += turned[1:]
    return cells


def table(files, root, out, sizes, dihedral=False, reader=None):
    names = ["path", "sha256", "mode", "size", "format", "grey", "rgb"]
    names += [f"{method}{size}" for size, methods in sizes for method in methods] + ["pdq", "quality"]
    rows, seen = [], {}
    for path in sorted(files):
        name = path.relative_to(root).as_posix()
        print(f"  {name}", file=sys.stderr)
        cells = row(path, name, sizes, dihedral, reader)
        if cells is not None:
            rows.append(cells)
            if cells[1] in seen:
                print(f"  {name} has the same bytes as {seen[cells[1]]}", file=sys.stderr)
            seen.setdefault(cells[1], name)
    lines = ["\t".join(names + (TURNED if dihedral else []))] + ["\t".join(cells) for cells in rows]
    out.write_text("\n".join(lines) + "\n")
    print(f"{out.name}: {len(rows)} files")


def pictures_below(folder):
    extensions = Image.registered_extensions()
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.suffix.lower() in extensions
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["images", "golden", "jxl", "golden-jxl", "photos", "wallpapers"])
    parser.add_argument("folder", nargs="?", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None
    images = HERE / "images"
    if arguments.what == "images":
        import avifs
        import heics
        from pictures import write_all

        images.mkdir(exist_ok=True)
        for old in images.iterdir():
            old.unlink()
        write_all(images)
        heics.flats(HERE.parent / "hostile/heic")
        avifs.flats(HERE.parent / "hostile/avif")
        files = list(images.iterdir())
        print(f"images: {len(files)} files, {sum(path.stat().st_size for path in files)} bytes")
    elif arguments.what == "golden":
        table(images.iterdir(), HERE, HERE / "golden.tsv", ALL_SIZES, dihedral=True)
    elif arguments.what == "jxl":
        import jxl

        folder = HERE / "jxl"
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        jxl.write_all(folder)
        jxl.large(HERE.parent / "hostile/jxl")
    elif arguments.what == "golden-jxl":
        from jxl import djxl

        table((HERE / "jxl").iterdir(), HERE, HERE / "jxl.tsv", ALL_SIZES, dihedral=True, reader=djxl)
    else:
        if arguments.folder is None:
            parser.error("which folder?")
        table(pictures_below(arguments.folder), arguments.folder, HERE / f"{arguments.what}.tsv", USUAL_SIZES)


if __name__ == "__main__":
    main()
