"""The test images in AVIF, by Pillow 13.0.0 (libavif 1.4.2), and by avifenc 0.11.1 where Pillow has no such option. Used
by make.py.
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
from pictures import HEIGHT, WIDTH, exif, luma, picture, scene


def avifenc(path, image, *options):
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.png"
        image.save(source)
        quality = [] if "--lossless" in options else ["--min", "20", "--max", "40"]
        subprocess.run(["avifenc", "-s", "8", *quality, *options, source, path], check=True, capture_output=True)


def flats(folder):
    """Large pictures of one colour, for the tests of memory and cancelling."""
    colour = picture(np.full((3000, 4000, 3), (90, 140, 60)))
    colour.save(folder / "flat-420.avif", quality=30, subsampling="4:2:0")
    colour.save(folder / "flat-444.avif", quality=30, subsampling="4:4:4")
    colour.crop((0, 0, 512, 512)).save(folder / "tile.avif", quality=30)


def avifs(at):
    def path(name):
        return at(name, "avif")

    def save(name, image, quality=50, **options):
        image.save(path(name), quality=quality, speed=8, **options)

    def encode(name, image, *options):
        avifenc(path(name), image, *options)

    image, even = picture(scene(WIDTH, HEIGHT)), picture(scene(96, 64, 2))
    for chroma in ("4:2:0", "4:2:2", "4:4:4"):
        save(f"avif-{chroma.replace(':', '')}", even, subsampling=chroma)
        save(f"avif-odd-{chroma.replace(':', '')}", image, subsampling=chroma)
        save(f"avif-limited-{chroma.replace(':', '')}", even, subsampling=chroma, range="limited")
    save("avif-q5", even, 5)
    save("avif-q95", even, 95)
    grey = picture(luma(scene(WIDTH, HEIGHT, 3)))
    save("avif-grey", grey, subsampling="4:0:0")
    save("avif-grey-limited", grey, subsampling="4:0:0", range="limited")
    save("avif-rgba", picture(np.dstack([scene(96, 64), luma(scene(96, 64, 3))])))
    for number in range(2, 9):
        save(f"avif-orientation{number}", even, 30, exif=exif(number))
    save("avif-animation", even, save_all=True, append_images=[picture(scene(96, 64, 5))], duration=100)
    for width, height in ((1, 1), (7, 5), (65, 63)):
        save(f"avif-{width}x{height}", picture(scene(width, height, 6)))
    encode("avif-lossless", picture(scene(64, 48, 5)), "--lossless")
    for matrix in (1, 2, 9):
        encode(f"avif-matrix{matrix}", even, "-y", "420", "--cicp", f"1/13/{matrix}")
        encode(f"avif-matrix{matrix}-limited", even, "-y", "444", "-r", "l", "--cicp", f"1/13/{matrix}")
    encode("avif-matrix8", even, "-y", "444", "--cicp", "1/13/8")
    encode("avif-matrix0-limited", even, "-y", "444", "-r", "l", "--cicp", "1/13/0")
    for bits in ("10", "12"):
        for chroma in ("420", "422", "444"):
            encode(f"avif-{bits}bit-{chroma}", image, "-d", bits, "-y", chroma)
        encode(f"avif-{bits}bit-grey", grey, "-d", bits, "-y", "400")
        encode(f"avif-{bits}bit-grey-limited", grey, "-d", bits, "-y", "400", "-r", "l")
        encode(f"avif-{bits}bit-limited", even, "-d", bits, "-y", "420", "-r", "l")
    alpha = picture(np.dstack([scene(96, 64), luma(scene(96, 64, 3))]))
    encode("avif-10bit-rgba", alpha, "-d", "10", "-y", "420")
    encode("avif-film-grain", even, "-a", "film-grain-test=1")
    # Grids: whole tiles, a row, other chroma, 10 bits.
    large = picture(scene(192, 128, 2))
    encode("avif-grid", large, "-g", "3x2", "-y", "420")
    encode("avif-grid-row", picture(scene(256, 64, 3)), "-g", "4x1", "-y", "422")
    encode("avif-grid-444", large, "-g", "3x2", "-y", "444")
    encode("avif-grid-grey", picture(luma(scene(192, 128, 2))), "-g", "3x2", "-y", "400")
    encode("avif-grid-10bit", large, "-g", "3x2", "-y", "420", "-d", "10")
    encode("avif-clap", even, "--clap", "64,1,40,1,-10,1,6,1")
