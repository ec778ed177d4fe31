"""The test images in HEIC, by pillow-heif 1.8.1 (libheif 1.23.6, x265 4.3). Used by make.py.

What pillow-heif does not write is made of what it writes by changing bytes: other orders of turns, a clean aperture, the
size of a picture.
"""

import struct

import numpy as np
import pillow_heif
from pictures import HEIGHT, WIDTH, exif, luma, picture, scene, sixteen
from PIL import Image

FAST = {"preset": "veryfast"}


def encode(path, samples, mode, **options):
    """Of more than 8 bits: what Pillow has no mode for."""
    pillow_heif.options.SAVE_HDR_TO_12_BIT = options.pop("twelve", False)
    height, width = samples.shape[:2]
    data = samples.astype("<u2" if mode.endswith("16") else np.uint8).tobytes()
    pillow_heif.encode(mode, (width, height), data, path, **options)
    pillow_heif.options.SAVE_HDR_TO_12_BIT = False


def boxes(data, start, end):
    while start + 8 <= end:
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        yield kind, start, start + size
        start += size


def find(data, *path):
    """Where the box begins that these names lead to, where its contents do, and where it ends."""
    start, end = 0, len(data)
    for kind in path:
        found, end = next((a, b) for name, a, b in boxes(data, start, end) if name == kind)
        start = found + (12 if kind == b"meta" else 8)
    return found, start, end


def insert(data, new):
    """Adds a property of the first item, behind its others."""
    data = bytearray(data)
    _, start, end = find(data, b"meta", b"iprp", b"ipco")
    count = sum(1 for _ in boxes(data, start, end))
    _, start, _ = find(data, b"meta", b"iprp", b"ipma")
    # Version 0, no flags: the number of items, then of each its number, how many properties, and these.
    version, items, _, length = struct.unpack(">IIHB", data[start : start + 11])
    assert version == 0 and items >= 1 and start > end
    data[start + 10] = length + 1
    data.insert(start + 11 + length, count + 1 | 0x80)
    data[end:end] = new
    grown = len(new) + 1
    # From the inside to the outside, and the last of two first: a size that is wrong hides what follows it.
    root, _, _ = find(data, b"meta")
    outer, _, _ = find(data, b"meta", b"iprp")
    list_, _, _ = find(data, b"meta", b"iprp", b"ipco")
    for at, by in (root, grown), (outer, grown), (list_, len(new)):
        data[at : at + 4] = struct.pack(">I", struct.unpack(">I", data[at : at + 4])[0] + by)
    at, _, _ = find(data, b"meta", b"iprp", b"ipma")
    data[at : at + 4] = struct.pack(">I", struct.unpack(">I", data[at : at + 4])[0] + 1)
    return bytes(move(data, grown))


def move(data, by):
    """Data of the file lie further behind."""
    _, start, _ = find(data, b"meta", b"iloc")
    version, sizes, widths = data[start], data[start + 4], data[start + 5]
    assert version < 2 and sizes == 0x44 and widths & 15 == 0

    def number(at, length):
        return int.from_bytes(data[at : at + length], "big")

    at = start + 8
    for _ in range(number(start + 6, 2)):
        method = number(at + 2, 2) & 15 if version else 0
        at += (6 if version else 4) + (widths >> 4)
        count = number(at, 2)
        at += 2
        for _ in range(count):
            if method == 0:
                data[at : at + 4] = struct.pack(">I", number(at, 4) + by)
            at += 8
    return data


def box(kind, body):
    return struct.pack(">I4s", len(body) + 8, kind) + body


def clap(width, height, right, down):
    """Each a fraction."""
    return box(b"clap", struct.pack(">IIIIiIiI", *width, *height, *right, *down))


def flats(folder):
    """Large pictures of one colour, for the tests of memory and cancelling."""
    colour = picture(np.full((3000, 4000, 3), (90, 140, 60)))
    colour.save(folder / "flat-420.heic", quality=30, enc_params=dict(FAST))
    colour.save(folder / "flat-444.heic", quality=30, chroma=444, enc_params=dict(FAST))
    colour.crop((0, 0, 512, 512)).save(folder / "tile.heic", quality=30, enc_params=dict(FAST))


def heics(at):
    def path(name):
        return at(name, "heic")

    def save(name, image, **options):
        image.save(path(name), enc_params=dict(FAST), **options)

    def add(name, new, *properties):
        with open(path(name), "rb") as file:
            data = file.read()
        for one in properties:
            data = insert(data, one)
        with open(path(new), "wb") as file:
            file.write(data)

    rgb = scene(WIDTH, HEIGHT)
    even = scene(128, 96)
    image, flat = picture(rgb), picture(even)
    save("heic-420", flat, quality=60)
    save("heic-422", flat, quality=60, chroma=422)
    save("heic-444", flat, quality=60, chroma=444)
    for chroma in (420, 422, 444):
        save(f"heic-odd-{chroma}", image, quality=70, chroma=chroma)
    save("heic-q5", flat, quality=5)
    save("heic-q95", picture(scene(96, 64, 4)), quality=95)
    save("heic-lossless", picture(scene(64, 48, 5)), quality=-1, chroma=444, matrix_coefficients=0)
    for matrix, primaries in ((1, 1), (9, 9), (12, 9), (2, 2), (8, 1)):
        options = {"matrix_coefficients": matrix, "color_primaries": primaries}
        save(f"heic-matrix{matrix}", flat, quality=50, **options)
    for chroma in (420, 444):
        save(f"heic-limited-{chroma}", flat, quality=50, chroma=chroma, full_range_flag=0)
    save(
        "heic-limited-identity",
        picture(scene(64, 48, 5)),
        quality=80,
        chroma=444,
        matrix_coefficients=0,
        full_range_flag=0,
    )
    save("heic-no-nclx", flat, quality=50, save_nclx_profile=False)
    grey = luma(even)
    save("heic-grey", picture(grey), quality=60)
    save("heic-grey-odd", picture(luma(rgb)), quality=60)
    save("heic-rgba", picture(np.dstack([even, luma(scene(128, 96, 3))])), quality=60)
    save("heic-la", picture(np.dstack([grey, luma(scene(128, 96, 3))]), "LA"), quality=60)
    deep = sixteen(even, 7)
    for bits, twelve in ((10, False), (12, True)):
        for chroma in (420, 422, 444):
            encode(
                path(f"heic-{bits}bit-{chroma}"),
                deep,
                "RGB;16",
                twelve=twelve,
                quality=60,
                chroma=chroma,
                enc_params=dict(FAST),
            )
    encode(path("heic-10bit-limited"), deep, "RGB;16", quality=60, enc_params=dict(FAST), full_range_flag=0)
    encode(
        path("heic-10bit-rgba"),
        sixteen(np.dstack([even, luma(scene(128, 96, 3))]), 7),
        "RGBA;16",
        quality=60,
        enc_params=dict(FAST),
    )
    for number in range(2, 9):
        save(f"heic-orientation{number}", flat, quality=50, exif=exif(number))
    save("heic-odd-orientation6", image, quality=50, chroma=444, exif=exif(6))
    # Grids: whole tiles, parts of tiles on two sides, one row, turned, grey, of 10 bits.
    large = scene(256, 192, 2)
    save("heic-grid", picture(large), quality=50, tile_size=64)
    save("heic-grid-odd", picture(scene(201, 135, 2)), quality=50, tile_size=64)
    save("heic-grid-row", picture(scene(250, 64, 3)), quality=50, tile_size=64)
    save("heic-grid-orientation6", picture(scene(201, 135, 2)), quality=50, tile_size=64, exif=exif(6))
    save("heic-grid-grey", picture(luma(large)), quality=50, tile_size=64)
    encode(path("heic-grid-10bit"), sixteen(large, 3), "RGB;16", quality=50, tile_size=64, enc_params=dict(FAST))
    save("heic-grid-444", picture(scene(150, 100, 6)), quality=50, tile_size=64, chroma=444)
    save("heic-thumbnail", picture(large), quality=50, thumbnails=[64])
    # Parts, before and after turns.
    part = clap((64, 1), (40, 1), (-10, 1), (6, 1))
    quarter, mirror = box(b"irot", b"\1"), box(b"imir", b"\1")
    add("heic-420", "heic-clap", part)
    add("heic-420", "heic-clap-odd", clap((61, 1), (41, 1), (3, 2), (-5, 2)))
    add("heic-420", "heic-clap-turned", part, quarter)
    add("heic-420", "heic-turned-clap", quarter, part, mirror)
    add("heic-420", "heic-mirror-turned", mirror, quarter)
    for width, height in ((1, 1), (7, 5), (65, 63)):
        save(f"heic-{width}x{height}", picture(scene(width, height, 6)), quality=60)
    assert Image.open(path("heic-turned-clap")).size == (64, 40)
