"""The test images, from formulas alone: no photograph, no font, no random state. Used by make.py.

A name is `format-variant`, or what the picture shows; a comment beside it says what a reader could get wrong. The noise
is a hash of the coordinates, so that pixels do not depend on a library's version; bytes do, on Pillow's encoders.
"""

import io

import numpy as np
from encoders import bmp, gif, png, tiff
from PIL import Image

WIDTH, HEIGHT = 131, 97  # neither divides by 8 or 16: partial blocks, partial bytes, partial tiles


def grid(width, height):
    y, x = np.mgrid[0:height, 0:width]
    return x.astype(np.int64), y.astype(np.int64)


def noise(width, height, seed, cell=1):
    """0..255, constant on squares of `cell` pixels."""
    x, y = grid(width, height)
    value = (x // cell * 374761393 + y // cell * 668265263 + seed * 2246822519) & 0xFFFFFFFF
    value = ((value ^ value >> 13) * 1274126177) & 0xFFFFFFFF
    return (value ^ value >> 16) & 255


def strokes(x, y, seed):
    """Edges as of text: bars of varying length in lines 12 pixels apart."""
    column, row = x // 5, y // 12
    letter = (column * 7919 + row * 104729 + seed * 31) % 97
    return (y % 12 < 7) & (letter % 4 != 0) & ((x % 5 < 2) | ((y % 12 == letter % 7) & (x % 5 < 4)))


def scene(width, height, seed=1):
    """RGB with slopes, flat shapes, fine edges and a corner of noise."""
    x, y = grid(width, height)
    red = 40 + 180 * x // width // 12 * 12  # in steps, or the files would be three times as large
    green = 200 - 150 * y // height // 10 * 10
    blue = 60 + 120 * (x + y) // (width + height) // 40 * 40
    image = np.stack([red, green, blue], axis=-1)
    inside = ((x * 10 - width * (3 + seed % 4)) * height) ** 2 + ((y * 10 - height * 4) * width) ** 2
    image[inside < (2 * width * height) ** 2] = [230, 60 + 20 * (seed % 7), 40]
    image[(x > width * 6 // 10) & (x < width * 9 // 10) & (y > height // 8) & (y < height // 3)] = [20, 30, 140]
    text = strokes(x, y, seed) & (y > height * 7 // 10) & (x < width // 2)
    image[text] = [10, 10, 10]
    corner = (x > width * 3 // 4) & (y > height * 2 // 3)
    return np.where(corner[..., None], noise(width, height, seed, 6)[..., None] // 64 * 64, image)


def luma(rgb):
    """Pillow's own integers for `L`."""
    return (rgb[..., 0] * 19595 + rgb[..., 1] * 38470 + rgb[..., 2] * 7471 + 0x8000) >> 16


def picture(samples, mode=None):
    return Image.fromarray(samples.astype(np.uint8), mode) if mode else Image.fromarray(samples.astype(np.uint8))


def palette_of(rgb, bits):
    """Indices and a palette of 2^bits colours: of 8 bits 3 red, 3 green, 2 blue; of 4 bits 1, 2, 1; a ramp below."""
    if bits < 4:
        indices = luma(rgb) >> 8 - bits
        steps = np.arange(1 << bits) * 255 // ((1 << bits) - 1)
        return indices, np.stack([steps, 255 - steps // 2, steps // 3 + 40], axis=-1)
    red, green, blue = (3, 3, 2) if bits == 8 else (1, 2, 1)
    indices = rgb[..., 0] >> 8 - red << green + blue | rgb[..., 1] >> 8 - green << blue | rgb[..., 2] >> 8 - blue
    n = np.arange(1 << bits)
    return indices, np.stack(
        [
            (n >> green + blue) * 255 // ((1 << red) - 1),
            (n >> blue & (1 << green) - 1) * 255 // ((1 << green) - 1),
            (n & (1 << blue) - 1) * 255 // ((1 << blue) - 1),
        ],
        axis=-1,
    )


def sixteen(samples, seed):
    """16 bits whose high byte is the sample, and so is the nearest eighth-bit value: both ways to narrow agree."""
    shade = noise(samples.shape[1], samples.shape[0], seed, 8).reshape(samples.shape[:2] + (1,) * (samples.ndim - 2))
    low = samples + shade // 2 - 64
    return samples * 256 + np.clip(low, 0, 255)


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def pngs(at):
    rgb = scene(WIDTH, HEIGHT)
    grey = luma(rgb)
    x, y = grid(WIDTH, HEIGHT)
    alpha = np.clip((x + y) * 2 - 80, 0, 255) // 17 * 17
    png(at("png-grey8"), grey, 8, 0)
    png(at("png-grey1"), grey >> 7, 1, 0)
    png(at("png-grey2"), grey >> 6, 2, 0)
    png(at("png-grey4"), grey >> 4, 4, 0)
    png(at("png-grey16"), sixteen(grey, 2), 16, 0)  # Pillow clips: all but white. The high bytes are png-grey8.
    png(at("png-grey16-dark"), grey, 16, 0)  # values below 256: Pillow sees png-grey8, a reader of high bytes black
    png(at("png-grey-trns"), grey, 8, 0, [(b"tRNS", b"\0\xe6")])
    png(at("png-grey-alpha"), np.stack([grey, alpha], -1), 8, 4)
    png(at("png-grey-alpha16"), sixteen(np.stack([grey, alpha], -1)[:48, :64], 3), 16, 4)
    png(at("png-rgb8"), rgb, 8, 2)
    png(at("png-rgb8-trns"), rgb[:64, :113], 8, 2, [(b"tRNS", b"\0\x14\0\x1e\0\x8c")])
    png(at("png-rgb16"), sixteen(rgb, 4)[:70, :100], 16, 2)
    png(at("png-rgba8"), np.dstack([rgb, alpha]), 8, 6)
    png(at("png-rgba16"), sixteen(np.dstack([rgb, alpha])[:48, :64], 5), 16, 6)
    for bits in (1, 2, 4, 8):
        indices, colours = palette_of(rgb, bits)
        table = [(b"PLTE", colours.astype(np.uint8).tobytes())]
        png(at(f"png-palette{bits}"), indices, bits, 3, table)
    # Transparent entries, some half so, fewer than the palette has.
    png(at("png-palette8-trns"), indices, 8, 3, table + [(b"tRNS", bytes(range(0, 200, 2)))])
    png(at("png-grey8-interlaced"), grey, 8, 0, interlaced=True)
    png(at("png-grey1-interlaced"), grey >> 7, 1, 0, interlaced=True)
    png(at("png-rgb8-interlaced"), rgb, 8, 2, interlaced=True)
    png(at("png-palette4-interlaced"), *palette_table(rgb, 4), interlaced=True)
    png(at("png-rgba8-interlaced"), np.dstack([rgb, alpha])[:61, :67], 8, 6, interlaced=True)
    png(at("png-interlaced-3x2"), rgb[:2, :3], 8, 2, interlaced=True)  # most of the seven passes are empty
    png(at("png-gamma"), rgb[:64, :64], 8, 2, [(b"gAMA", (100000).to_bytes(4, "big"))])  # Pillow ignores it
    png(at("png-exif6"), rgb[:96, :120], 8, 2, [(b"eXIf", exif(6)[6:])])


def palette_table(rgb, bits):
    indices, colours = palette_of(rgb, bits)
    return indices, bits, 3, [(b"PLTE", colours.astype(np.uint8).tobytes())]


def shapes(at):
    """Grey PNGs whose hashes hang on a tie, a size or a symmetry."""
    x, y = grid(128, 128)
    flat = np.zeros((96, 128), np.int64)
    for name, value in (("black", 0), ("white", 255), ("grey", 128)):
        png(at(f"flat-{name}"), flat + value, 8, 0)
    png(at("half-white"), np.where(x < 64, 255, 0), 8, 0)
    png(at("half-white-upper"), np.where(y < 64, 255, 0), 8, 0)
    png(at("half-white-uneven"), np.where(grid(131, 97)[0] < 65, 255, 0), 8, 0)
    png(at("checkerboard-8x8"), (x // 16 + y // 16) % 2 * 255, 8, 0)
    png(at("checkerboard-8x8-soft"), 127 + (x // 16 + y // 16) % 2, 8, 0)
    png(at("checkerboard-pixels"), (x + y) % 2 * 255, 8, 0)
    png(at("stripes"), x // 8 % 2 * 200 + 20, 8, 0)
    png(at("mirror-x"), np.abs(2 * x - 127) * 2, 8, 0)
    png(at("mirror-y"), np.abs(2 * y - 127) * 2, 8, 0)
    png(at("mirror-both"), np.clip(np.abs(2 * x - 127) + np.abs(2 * y - 127), 0, 255), 8, 0)
    png(at("mirror-diagonal"), (x * y) % 256 // 16 * 16, 8, 0)
    # Blocks of the 8 x 8 grid with few values: half of them equal the median, or lie on both sides of it.
    png(at("ties-two-values"), np.where(noise(128, 128, 7, 16) % 2 == 1, 160, 96), 8, 0)
    png(at("ties-three-values"), noise(128, 128, 8, 16) % 3 * 64 + 64, 8, 0)
    png(at("ties-one-block"), np.where((x // 16 == 3) & (y // 16 == 5), 200, 50), 8, 0)
    png(at("ties-level"), 100 + noise(128, 128, 9, 16) % 2, 8, 0)
    png(at("slope-x"), x * 2, 8, 0)
    png(at("slope-y"), y * 2, 8, 0)
    png(at("slope-x-falling"), 254 - x * 2, 8, 0)
    png(at("slope-slow"), 120 + x // 32, 8, 0)
    png(at("noise"), noise(64, 64, 10), 8, 0)
    png(at("noise-faint"), 128 + noise(128, 96, 11) % 2, 8, 0)
    # A slope turned by 30 degrees, dark and light flat borders around it.
    x, y = grid(640, 480)
    inner = (x * 866 + y * 500) * 240 // (640 * 866 + 480 * 500)
    flat = (x < 90) | (x >= 560) | (y < 60) | (y >= 430)
    png(at("slope-turned-borders"), np.where(flat, np.where(x + y < 560, 12, 243), inner // 4 * 4), 8, 0)


def sizes(at):
    """Small, thin and large beyond the usual: whash looks at the shorter side, PDQ refuses sides below 5."""
    for width, height in ((1, 1), (2, 2), (5, 7), (4, 4), (5, 5), (8, 8), (17, 31), (64, 64), (63, 65), (128, 128)):
        png(at(f"size-{width}x{height}"), scene(width, height, 3), 8, 2)
    for width, height in ((300, 2), (2, 300), (1, 96), (400, 9), (5, 400), (257, 130), (512, 512), (513, 600)):
        png(at(f"size-{width}x{height}"), luma(scene(width, height, 4)) // 32 * 32, 8, 0)


def gifs(at):
    rgb = scene(WIDTH, HEIGHT, 2)
    indices, colours = palette_of(rgb, 8)
    few, sixteen_colours = palette_of(rgb, 4)
    whole = {"at": (0, 0), "indices": indices}
    plain = {"at": (0, 0), "indices": few}
    size = (WIDTH, HEIGHT)
    gif(at("gif-87a"), size, colours, [whole], b"87a")
    gif(at("gif-89a"), size, sixteen_colours, [plain])
    gif(at("gif-interlaced"), size, sixteen_colours, [plain | {"interlaced": True}])
    gif(at("gif-transparent"), size, sixteen_colours, [plain | {"transparent": 6}])
    # What is outside the frame: index 0 (dark), the background (light), or the transparent entry?
    small = {"at": (20, 10), "indices": few[:70, :90]}
    gif(at("gif-small-frame"), size, sixteen_colours, [small], background=15)
    gif(at("gif-small-frame-transparent"), size, sixteen_colours, [small | {"transparent": 6}], background=15)
    gif(at("gif-local-palette"), size, sixteen_colours, [whole | {"palette": colours[::-1]}])
    gif(at("gif-grey"), size, np.repeat(np.arange(256)[:, None], 3, 1), [plain | {"indices": luma(rgb)}])
    gif(at("gif-two-colours"), size, [[255, 255, 255], [0, 0, 0]], [plain | {"indices": luma(rgb) >> 7}])
    part = {"at": (30, 30), "indices": few[::-1][:40, :40], "disposal": 2, "transparent": 3}
    gif(at("gif-animated"), size, sixteen_colours, [plain | {"disposal": 1}, part, part])


def webps(at):
    rgb = scene(WIDTH, HEIGHT, 3)
    x, y = grid(WIDTH, HEIGHT)
    rgba = np.dstack([rgb, np.clip((x - y) * 3 + 100, 0, 255) // 17 * 17])
    path = lambda name: at(name, "webp")  # noqa: E731
    picture(rgb).save(path("webp-lossless"), lossless=True, method=6)
    indices, colours = palette_of(rgb, 4)
    picture(colours[indices]).save(path("webp-lossless-palette"), lossless=True, method=6)
    picture(rgba).save(path("webp-lossless-alpha"), lossless=True, method=6)  # RGB under alpha 0 is cleared
    picture(rgba).save(path("webp-lossless-alpha-exact"), lossless=True, exact=True, method=6)
    picture(rgb).save(path("webp-lossy"), quality=75, method=4)
    picture(rgb).save(path("webp-lossy-q20"), quality=20, method=4)
    picture(rgba).save(path("webp-lossy-alpha"), quality=75, method=4)
    picture(rgb).save(path("webp-lossy-exif6"), quality=75, exif=exif(6))
    later = [picture(scene(WIDTH, HEIGHT, seed)) for seed in (4, 5)]
    picture(rgb).save(path("webp-animated"), save_all=True, append_images=later, duration=100, quality=60)
    picture(rgba).save(path("webp-animated-alpha"), save_all=True, append_images=later[:1], lossless=True, duration=100)


def tiffs(at):
    rgb = scene(107, 96, 4)
    grey = luma(rgb)
    x, y = grid(107, 96)
    alpha = np.clip(300 - (x + y) * 2, 0, 255) // 17 * 17
    indices, colours = palette_of(rgb, 8)
    paletted = picture(indices)
    paletted.putpalette(colours.astype(np.uint8).tobytes())
    path = lambda name: at(name, "tiff")  # noqa: E731
    picture(grey[:60, :80]).save(path("tiff-grey"), compression="raw")
    picture(rgb[20:60, 10:51]).save(path("tiff-rgb"), compression="raw")
    picture(rgb[:64, :80]).save(path("tiff-lzw"), compression="tiff_lzw")
    picture(rgb).save(path("tiff-lzw-predictor"), compression="tiff_lzw", tiffinfo={317: 2})
    picture(rgb).save(path("tiff-deflate"), compression="tiff_adobe_deflate")
    picture(grey[20:60, 10:51]).save(path("tiff-big"), compression="raw", big_tiff=True)
    picture(grey // 32 * 32).save(path("tiff-packbits"), compression="packbits")
    picture(rgb).save(path("tiff-jpeg"), compression="jpeg", quality=60)  # components: YCbCr
    picture(grey).save(path("tiff-jpeg-grey"), compression="jpeg", quality=80)
    paletted.save(path("tiff-palette"), compression="tiff_lzw")
    # A separation of its own, not the complement of RGB: black is ink.
    ink = np.stack([255 - rgb[..., 0], 255 - rgb[..., 1], 255 - rgb[..., 2], grey // 3], -1)
    picture(ink[:60, :71], "CMYK").save(path("tiff-cmyk"), compression="tiff_lzw")
    picture(np.dstack([rgb, alpha])[:64, :80]).save(path("tiff-rgba"), compression="tiff_lzw")
    Image.fromarray(sixteen(grey, 6)[:64, :80].astype(np.uint16)).save(path("tiff-grey16"), compression="tiff_lzw")
    one = picture((grey > 110) * 255).convert("1", dither=Image.Dither.NONE)
    for compression in ("group3", "group4", "packbits"):
        one.save(path(f"tiff-bilevel-{compression}"), compression=compression)
    for orientation in (3, 6, 7):
        turned = path(f"tiff-orientation{orientation}")
        picture(rgb[:64, :97]).save(turned, compression="tiff_lzw", tiffinfo={274: orientation})
    first, second = picture(rgb), picture(scene(107, 96, 5))
    first.save(path("tiff-two-pages"), compression="tiff_adobe_deflate", save_all=True, append_images=[second])
    tiff(path("tiff-strips"), rgb, 8, 2, rows_per_strip=13)
    tiff(path("tiff-big-endian"), rgb, 8, 2, order=">")
    tiff(path("tiff-tiled"), rgb, 8, 2, tile=(48, 32))
    tiff(path("tiff-tiled-grey"), grey, 8, 1, tile=(64, 64))
    tiff(path("tiff-planar"), rgb, 8, 2, planar=True)
    tiff(path("tiff-rgb16"), sixteen(rgb, 7)[:48, :64], 16, 2)
    tiff(path("tiff-rgb16-big-endian"), sixteen(rgb, 7)[:48, :64], 16, 2, order=">")
    tiff(path("tiff-white-is-zero"), grey, 8, 0)
    tiff(path("tiff-bilevel-white-is-zero"), grey >> 7, 1, 0)
    tiff(path("tiff-grey4"), grey >> 4, 4, 1)
    straight = np.dstack([rgb, alpha])
    tiff(path("tiff-rgba-straight"), straight, 8, 2, tags=[(338, [2])])
    straight[..., :3] = straight[..., :3] * alpha[..., None] // 255
    tiff(path("tiff-rgba-premultiplied"), straight, 8, 2, tags=[(338, [1])])


def bmps(at):
    rgb = scene(WIDTH, HEIGHT, 5)
    path = lambda name: at(name, "bmp")  # noqa: E731
    for bits in (1, 4, 8):
        indices, colours = palette_of(rgb[16:75, 4:57], bits)
        bmp(path(f"bmp-palette{bits}"), indices, bits, colours)
    indices, colours = palette_of(rgb, 8)
    bmp(path("bmp-rle8"), indices, 8, colours, rle=True)
    indices, colours = palette_of(rgb[:64, :97], 4)
    bmp(path("bmp-palette4-top-down"), indices, 4, colours, top_down=True)
    bmp(path("bmp-rgb24"), rgb[20:57, 10:53], 24)
    bmp(path("bmp-rgb24-top-down"), rgb[20:47, 10:53], 24, top_down=True)
    half = rgb[20:53, 10:51]
    bmp(path("bmp-rgb32"), np.dstack([half, np.zeros(half.shape[:2], int)]), 32)  # the fourth byte is not alpha
    packed = half[..., 0] >> 3 << 11 | half[..., 1] >> 2 << 5 | half[..., 2] >> 3
    bmp(path("bmp-rgb16-masks"), packed, 16, masks=(0xF800, 0x7E0, 0x1F))
    bmp(path("bmp-rgb16"), half[..., 0] >> 3 << 10 | half[..., 1] >> 3 << 5 | half[..., 2] >> 3, 16)


def jpegs(at):
    rgb = scene(WIDTH, HEIGHT, 6)
    image = picture(rgb)
    path = lambda name: at(name, "jpg")  # noqa: E731
    for name, subsampling in (("444", "4:4:4"), ("422", "4:2:2"), ("420", "4:2:0")):
        image.save(path(f"jpeg-{name}"), quality=85, subsampling=subsampling)
    image.save(path("jpeg-progressive"), quality=85, progressive=True, optimize=True)
    image.save(path("jpeg-q30"), quality=30)
    image.save(path("jpeg-restart-rows"), quality=85, restart_marker_rows=1)
    image.save(path("jpeg-restart-blocks"), quality=85, restart_marker_blocks=5)
    image.save(path("jpeg-exif6"), quality=85, exif=exif(6))
    image.save(path("jpeg-rgb"), quality=60, keep_rgb=True)  # components are RGB
    image.crop((0, 0, 96, 96)).save(path("jpeg-96x96"), quality=90)
    grey = picture(luma(rgb))
    grey.save(path("jpeg-grey"), quality=85)
    grey.save(path("jpeg-grey-progressive"), quality=85, progressive=True)
    picture(luma(scene(5, 7, 6))).save(path("jpeg-5x7"), quality=85)
    ink = np.stack([255 - rgb[..., 0], 255 - rgb[..., 1], 255 - rgb[..., 2], luma(rgb) // 3], -1)
    picture(ink[:81, :101], "CMYK").save(path("jpeg-cmyk"), quality=60)  # Adobe's inverted inks, transform 0
    # YCCK: the first three inks as YCbCr. Pillow writes four planes as they are and says transform 0; say 2 instead.
    colour = np.asarray(picture(ink[..., :3]).convert("YCbCr")).astype(int)
    buffer = io.BytesIO()
    picture(np.dstack([255 - colour, ink[..., 3]]), "CMYK").save(buffer, "JPEG", quality=60)
    data = bytearray(buffer.getvalue())
    adobe = data.index(b"Adobe")
    assert data[adobe + 11] == 0
    data[adobe + 11] = 2
    with open(path("jpeg-ycck"), "wb") as file:
        file.write(data)


def write_all(folder):
    """Writes every image into the folder."""

    def at(name, extension=None):
        extension = extension or ("gif" if name.startswith("gif-") else "png")
        return str(folder / f"{name}.{extension}")

    from avifs import avifs
    from heics import heics

    for write in (pngs, shapes, sizes, gifs, webps, tiffs, bmps, jpegs, heics, avifs):
        write(at)
