"""The JPEG XL images in jxl/, from the scenes of pictures.py, and their pixels. Used by make.py; needs libjxl-tools.

A name is what is special about it. Bytes depend on cjxl: 0.7.0 wrote them.
"""

import io
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from encoders import png
from PIL import Image
from pictures import exif, luma, noise, picture, scene, sixteen

WIDTH, HEIGHT = 131, 97
# What djxl writes where a file has more than 8 bits, by a part of its name.
DEEP = {"float": "pfm", "rgb10": "ppm", "grey12": "pgm", "rgb16": "ppm", "grey16": "pgm"}


def pnm(samples, most):
    """A PPM or PGM of two bytes a sample."""
    height, width = samples.shape[:2]
    kind = 6 if samples.ndim == 3 else 5
    return f"P{kind}\n{width} {height}\n{most}\n".encode() + samples.astype(">u2").tobytes()


def pfm(samples):
    height, width = samples.shape[:2]
    kind = "PF" if samples.ndim == 3 else "Pf"
    return f"{kind}\n{width} {height}\n-1.0\n".encode() + samples[::-1].astype("<f4").tobytes()


def pil(samples, form, **options):
    stream = io.BytesIO()
    picture(samples).save(stream, form, **options)
    return stream.getvalue()


def with_alpha(rgb, seed):
    return np.concatenate([rgb, noise(rgb.shape[1], rgb.shape[0], seed, 16)[..., None]], axis=-1)


def frames(form):
    pictures = [picture(scene(WIDTH, HEIGHT, seed)) for seed in (4, 5, 6)]
    stream = io.BytesIO()
    pictures[0].save(stream, form, save_all=True, append_images=pictures[1:], duration=100)
    return stream.getvalue()


def deep(folder, samples, colour):
    path = folder / "deep.png"
    png(path, samples, 16, colour)
    return path.read_bytes()


def djxl(path):
    """The pixels of djxl as a PNG of 8 bits, to which deeper samples are rounded."""
    deep = [extension for part, extension in DEEP.items() if part in path.stem]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / f"out.{deep[0] if deep else 'png'}"
        depth = ["--bits_per_sample=16"] if deep and deep[0] != "pfm" else []
        subprocess.run(["djxl", "--quiet", path, out, *depth], check=True)
        stream = io.BytesIO(out.read_bytes())
    if deep:
        kind, size, most, samples = stream.getvalue().split(b"\n", 3)
        width, height = map(int, size.split())
        if deep[0] == "pfm":
            samples = np.frombuffer(samples, ">f4" if float(most) > 0 else "<f4")
            samples = samples.reshape(height, width, -1)[::-1].clip(0, 1) * 255
        else:
            samples = np.frombuffer(samples, ">u2").reshape(height, width, -1) * (255 / int(most))
        stream = io.BytesIO()
        picture(np.floor(samples + 0.5).astype(np.uint8).squeeze()).save(stream, "PNG")
    return stream


def write_all(folder):
    rgb = scene(WIDTH, HEIGHT)
    grey = luma(rgb)
    large, wide = scene(601, 403, 2), scene(2100, 40, 3)
    rgba = with_alpha(rgb, 3)
    colours, greys = pil(rgb, "PNG"), pil(grey, "PNG")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)

        def put(name, source, extension, *options):
            path = scratch / f"in.{extension}"
            path.write_bytes(source)
            command = ["cjxl", "--quiet", "--num_threads=0", path, folder / f"{name}.jxl", *options]
            subprocess.run(command, check=True)

        lossless = ["-d", "0"]
        put("lossless", colours, "png", *lossless)
        put("lossless-container", colours, "png", "--container=1", *lossless)
        put("lossless-fastest", colours, "png", "-e", "1", *lossless)
        put("lossless-responsive", colours, "png", "-R", "1", *lossless)
        put("lossless-groups-of-128", pil(large, "PNG"), "png", "-g", "0", "-e", "4", *lossless)
        put("lossless-one-group-of-1024", pil(large, "PNG"), "png", "-g", "3", "-e", "4", *lossless)
        put("lossless-palette", pil(rgb // 64 * 64, "PNG"), "png", "--modular_palette_colors=256", *lossless)
        put("lossless-grey", greys, "png", *lossless)
        put("lossless-alpha", pil(rgba, "PNG"), "png", *lossless)
        put("lossless-grey-alpha", pil(np.dstack([grey, rgba[..., 3]]), "PNG"), "png", *lossless)
        put("lossless-rgb16", deep(scratch, sixteen(rgb, 5), 2), "png", *lossless)
        put("lossless-grey16", deep(scratch, sixteen(grey, 6), 0), "png", *lossless)
        put("lossless-rgb10", pnm(rgb * 4 + rgb // 64, 1023), "ppm", *lossless)
        put("lossless-grey12", pnm(grey * 16 + grey // 16, 4095), "pgm", *lossless)
        put("lossless-float", pfm(rgb / 255), "pfm", *lossless)
        put("lossy", colours, "png")
        put("lossy-container", colours, "png", "--container=1")
        put("lossy-fastest", colours, "png", "-e", "3")
        put("lossy-best", colours, "png", "-e", "8", "-d", "0.5")
        put("lossy-coarse", colours, "png", "-d", "6")
        put("lossy-grey", greys, "png")
        put("lossy-alpha", pil(rgba, "PNG"), "png")
        put("lossy-alpha-kept", pil(rgba, "PNG"), "png", "--keep_invisible=1")
        put("lossy-alpha-premultiplied", pil(rgba, "PNG"), "png", "--premultiply=1")
        put("lossy-rgb16", deep(scratch, sixteen(rgb, 7), 2), "png")
        put("lossy-float", pfm((rgb / 255) ** 2.2), "pfm")
        put("lossy-modular", colours, "png", "-m", "1")
        put("lossy-large", pil(large, "PNG"), "png", "-d", "3")
        put("lossy-wide", pil(wide, "PNG"), "png", "-d", "3")
        put("lossy-noise", colours, "png", "--photon_noise=ISO800")
        put("lossy-no-filters", colours, "png", "--epf=0", "--gaborish=0")
        put("lossy-patches", colours, "png", "--patches=1", "-e", "7")
        put("progressive", pil(large, "PNG"), "png", "-p", "-d", "3")
        put("progressive-dc", pil(large, "PNG"), "png", "--progressive_dc=1", "-d", "3")
        put("progressive-ac", colours, "png", "--qprogressive_ac", "--group_order=1")
        for width, height in ((1, 1), (2, 3), (7, 9), (8, 8), (17, 1), (1, 40), (64, 33)):
            small = pil(scene(width, height), "PNG")
            put(f"size-{width}x{height}", small, "png", *lossless)
            put(f"size-{width}x{height}-lossy", small, "png")
        for subsampling, label in ((0, "444"), (1, "422"), (2, "420")):
            put(f"jpeg-{label}", pil(rgb, "JPEG", quality=85, subsampling=subsampling), "jpg")
        put("jpeg-grey", pil(grey, "JPEG", quality=85), "jpg")
        put("jpeg-progressive", pil(rgb, "JPEG", quality=85, progressive=True), "jpg")
        for orientation in range(2, 9):
            turned = pil(rgb, "JPEG", quality=70, exif=exif(orientation))
            put(f"orientation-{orientation}", turned, "jpg", *(["-j", "0"] if orientation % 2 else []))
        put("animation", frames("PNG"), "apng", *lossless)
        put("animation-lossy", frames("PNG"), "apng")
        put("srgb-profile", pil(rgb, "PNG", icc_profile=profile()), "png", *lossless)
        put("srgb-profile-lossy", pil(rgb, "PNG", icc_profile=profile()), "png")
        put("p3", colours, "png", "-x", "color_space=RGB_D65_DCI_Rel_SRG")
        put("p3-lossless", colours, "png", "-x", "color_space=RGB_D65_DCI_Rel_SRG", *lossless)
    print(f"jxl: {len(list(folder.iterdir()))} files")


def large(folder):
    """Pictures of 12 million pixels in few bytes, of which one takes much memory, and frames that hide each other."""
    rows, columns = np.mgrid[0:3000, 0:4000]
    steps = np.stack([columns // 16 % 256, rows // 12 % 256, (rows + columns) // 28 % 256], axis=-1)
    plates = [columns // 500 * 7001, rows // 500 * 9001, (columns // 1000 + rows // 1000) * 5001]
    corners = np.zeros((512, 512), np.uint8)
    pictures = []
    for number in range(12):
        corners[0, 0] = corners[-1, -1] = 100 + 50 * (number % 2)
        pictures.append(picture(corners.copy()))
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        picture(steps.astype(np.uint8)).save(scratch / "large.png")
        (scratch / "deep.ppm").write_bytes(pnm(np.stack(plates, axis=-1), 65535))
        pictures[0].save(scratch / "frames.png", save_all=True, append_images=pictures[1:], duration=0, loop=1)
        for source, options in (
            ("large.png", ["-d", "3", "-e", "3"]),
            ("deep.ppm", ["-d", "0", "-R", "1", "-e", "3"]),
            ("frames.png", ["-d", "0", "-e", "3"]),
        ):
            out = (folder / source).with_suffix(".jxl")
            subprocess.run(["cjxl", "--quiet", "--num_threads=0", scratch / source, out, *options], check=True)


def profile():
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
