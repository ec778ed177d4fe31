#!/usr/bin/env python3
"""Altered copies of photographs, as programs built on libjpeg make them: sets for `make bench-originals`.

    copies.py FOLDER FILE...

Makes a folder in FOLDER for each JPEG file of 250 pixels a side to 2.5 megapixels, with the file itself as 0.jpg and 31
copies, named by how they were made; those whose names end in _exif have kept the EXIF data. Needs Pillow >= 10.
"""

import os
import shutil
import sys

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

FEWEST, MOST = 250, 2_500_000
EDITOR = "Adobe Photoshop CS6 (Windows)"


def marked(image):
    """With a name in a corner."""
    image = image.copy()
    width, height = image.size
    font = ImageFont.load_default(size=max(12, height // 20))
    ImageDraw.Draw(image).text((width * 0.6, height * 0.9), "(c) somebody", fill="white", font=font)
    return image


def without_jfif(path):
    """Takes the header of JFIF from a file, which cameras and some programs leave out."""
    with open(path, "r+b") as file:
        data = file.read()
        start = data.index(b"\xff\xe0")
        length = 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        file.seek(0)
        file.write(data[:start] + data[start + length :])
        file.truncate()


def make(folder, path):
    """Makes the copies of a file."""
    original = Image.open(path)
    exif, image = original.info.get("exif"), original.convert("RGB")
    width, height = image.size
    os.makedirs(folder, exist_ok=True)
    shutil.copy(path, f"{folder}/0.jpg")

    def jpeg(name, copy, quality, **options):
        copy.save(f"{folder}/{name}.jpg", quality=quality, **options)
        if exif:
            copy.save(f"{folder}/{name}_exif.jpg", quality=quality, exif=exif, **options)

    def scaled(factor, by=Image.Resampling.LANCZOS):
        return image.resize((int(width * factor), int(height * factor)), by)

    image.save(f"{folder}/png.png", compress_level=1)
    if exif:
        image.save(f"{folder}/png_exif.png", compress_level=1, exif=exif)
    image.save(f"{folder}/bmp.bmp")
    image.save(f"{folder}/tiff.tif", compression="tiff_lzw")
    image.save(f"{folder}/webp.webp", lossless=True, quality=20, method=0)
    jpeg("quality_98", image, 98)
    jpeg("quality_95_444", image, 95, subsampling=0)
    if exif:
        image.save(f"{folder}/without_jfif_exif.jpg", quality=97, exif=exif)
        without_jfif(f"{folder}/without_jfif_exif.jpg")
    jpeg("sharpened", image.filter(ImageFilter.UnsharpMask(2, 200, 0)), 95)
    jpeg("marked", marked(image), 96)
    jpeg("brighter", ImageEnhance.Brightness(image).enhance(1.2), 95)
    jpeg("grey", image.convert("L").convert("RGB"), 95)
    jpeg("cut", image.crop((width // 50, height // 50, width - width // 50, height - height // 50)), 95)
    jpeg("half", scaled(0.5), 95)
    jpeg("half_sharpened", scaled(0.5).filter(ImageFilter.UnsharpMask(1, 150, 0)), 97)
    jpeg("enlarged_1.5", scaled(1.5), 92)
    jpeg("enlarged_2", scaled(2), 92)
    enlarged = scaled(2, Image.Resampling.BICUBIC).filter(ImageFilter.UnsharpMask(2, 80, 0))
    enlarged.save(f"{folder}/enlarged_sharpened.jpg", quality=92)
    scaled(2).save(f"{folder}/enlarged_png.png", compress_level=1)
    tags = Image.Exif()
    if exif:
        tags.load(exif)
    tags[0x0131] = EDITOR
    image.save(f"{folder}/editor.jpg", quality=97, exif=tags.tobytes())


def main():
    """Makes a set of each file that is large enough, and not too large."""
    for number, path in enumerate(sys.argv[2:]):
        with Image.open(path) as image:
            (width, height), is_jpeg = image.size, image.format == "JPEG"
        if is_jpeg and min(width, height) >= FEWEST and width * height <= MOST:
            name = os.path.splitext(os.path.basename(path))[0]
            make(os.path.join(sys.argv[1], f"{number}_{name}"), path)


main()
