"""Writers for the variants of PNG, GIF, BMP and TIFF that Pillow reads but does not write. Used by pictures.py.

Samples are unsigned integers, arrays of shape (height, width) or (height, width, channels).
"""

import struct
import zlib

import numpy as np


def packed_row(samples, depth):
    """One row of samples as bytes: big-endian, the leftmost pixel in the highest bits, padded to a byte."""
    samples = np.asarray(samples).reshape(-1)
    if depth == 16:
        return samples.astype(">u2").tobytes()
    if depth == 8:
        return samples.astype(np.uint8).tobytes()
    bits = (samples[:, None] >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.reshape(-1).astype(np.uint8)).tobytes()


# PNG (third edition), sections 7.2 (packing), 8.1 (interlace), 9 (filters).

ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png(path, samples, depth, colour, chunks=(), interlaced=False):
    """colour: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA. Every row takes the next of the five filters."""
    height, width = samples.shape[:2]
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    step = max(1, channels * depth // 8)
    data = b""
    for left, top, right, down in ADAM7 if interlaced else [(0, 0, 1, 1)]:
        part = samples[top::down, left::right]
        if part.shape[0] and part.shape[1]:
            data += _filtered([packed_row(row, depth) for row in part], step)

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header))
        for name, body in chunks:
            file.write(chunk(name, body))
        file.write(chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))


def _filtered(rows, step):
    above = np.zeros(len(rows[0]), np.int32)
    data = b""
    for number, row in enumerate(rows):
        row = np.frombuffer(row, np.uint8).astype(np.int32)
        left, corner = np.zeros_like(row), np.zeros_like(row)
        left[step:], corner[step:] = row[:-step], above[:-step]
        kind = number % 5
        if kind == 4:
            guess = left + above - corner
            far = [abs(guess - near) for near in (left, above, corner)]
            paeth = np.where((far[0] <= far[1]) & (far[0] <= far[2]), left, np.where(far[1] <= far[2], above, corner))
        predicted = [0, left, above, (left + above) // 2, paeth if kind == 4 else 0][kind]
        data += bytes([kind]) + ((row - predicted) % 256).astype(np.uint8).tobytes()
        above = row
    return data


# GIF89a specification, appendix F for the codes.


def lzw(indices, minimum):
    """The variable-length codes of GIF, in sub-blocks."""
    clear, end = 1 << minimum, (1 << minimum) + 1
    bits, filled, out = 0, 0, bytearray()
    table, width = {}, minimum + 1

    def put(code):
        nonlocal bits, filled
        bits |= code << filled
        filled += width
        while filled >= 8:
            out.append(bits & 255)
            bits, filled = bits >> 8, filled - 8

    put(clear)
    prefix = None
    for index in map(int, indices):
        if prefix is None:
            prefix = index
            continue
        known = table.get((prefix, index))
        if known is not None:
            prefix = known
            continue
        put(prefix)
        code = end + 1 + len(table)
        if code < 4096:
            table[(prefix, index)] = code
            if code == 1 << width and width < 12:
                width += 1
        else:
            put(clear)
            table, width = {}, minimum + 1
        prefix = index
    put(prefix)
    # A decoder learns an entry from this code too.
    if end + 1 + len(table) == 1 << width and width < 12:
        width += 1
    put(end)
    if filled:
        out.append(bits & 255)
    blocks = [bytes(out[at : at + 255]) for at in range(0, len(out), 255)]
    return bytes([minimum]) + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def gif(path, screen, palette, frames, version=b"89a", background=0):
    """frames: dicts of `at` (x, y), `indices`, and where wanted `transparent`, `palette`, `interlaced`, `disposal`."""

    def colours(table):
        return (len(table).bit_length() - 1) - 1, np.asarray(table, np.uint8).tobytes()

    size, table = colours(palette)
    out = b"GIF" + version + struct.pack("<HHBBB", *screen, 0x80 | size, background, 0) + table
    if len(frames) > 1:
        out += b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    for frame in frames:
        indices = np.asarray(frame["indices"])
        height, width = indices.shape
        if version == b"89a":
            transparent = frame.get("transparent")
            flags = frame.get("disposal", 0) << 2 | (transparent is not None)
            out += b"\x21\xf9\x04" + struct.pack("<BHB", flags, 10, transparent or 0) + b"\0"
        flags, local = 0, b""
        if "palette" in frame:
            local_size, local = colours(frame["palette"])
            flags = 0x80 | local_size
        if frame.get("interlaced"):
            flags |= 0x40
            indices = np.concatenate([indices[start::step] for start, step in ((0, 8), (4, 8), (2, 4), (1, 2))])
        out += b"," + struct.pack("<HHHHB", *frame["at"], width, height, flags) + local
        out += lzw(indices.reshape(-1), max(2, int(len(frame.get("palette", palette)) - 1).bit_length()))
    with open(path, "wb") as file:
        file.write(out + b";")


# BMP: BITMAPINFOHEADER, the rows from the bottom unless top_down, each padded to four bytes.


def bmp(path, samples, bits, palette=None, top_down=False, rle=False, masks=None):
    height, width = samples.shape[:2]
    rows = samples if top_down else samples[::-1]
    if rle:
        body, compression = _rle8(rows), 1
    else:
        lines = []
        for row in rows:
            if bits == 16:
                line = row.astype("<u2").tobytes()
            elif bits <= 8:
                line = packed_row(row, bits)
            else:
                line = row[:, [2, 1, 0, 3][: bits // 8]].astype(np.uint8).tobytes()
            lines.append(line + b"\0" * (-len(line) % 4))
        body, compression = b"".join(lines), 3 if masks else 0
    table = struct.pack("<III", *masks) if masks else b""
    if palette is not None:
        table = b"".join(struct.pack("<BBBB", blue, green, red, 0) for red, green, blue in np.asarray(palette).tolist())
    start = 14 + 40 + len(table)
    colours = 0 if palette is None else len(palette)
    rows_down = -height if top_down else height
    header = struct.pack("<IiiHHII", 40, width, rows_down, 1, bits, compression, len(body))
    header += struct.pack("<iiII", 2835, 2835, colours, 0)
    with open(path, "wb") as file:
        file.write(b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + header + table + body)


def _rle8(rows):
    """Runs, and where three or more pixels differ from their neighbours the absolute mode."""
    out = bytearray()
    for row in rows.astype(int).tolist():
        at = 0
        while at < len(row):
            run = 1
            while at + run < len(row) and run < 255 and row[at + run] == row[at]:
                run += 1
            stop = at + 1
            while stop < len(row) and stop - at < 255 and row[stop] != row[stop - 1]:
                stop += 1
            literal = stop - at
            if run == 1 and literal >= 3:
                out += bytes([0, literal]) + bytes(row[at:stop]) + b"\0" * (literal % 2)
                at = stop
            else:
                out += bytes([run, row[at]])
                at += run
        out += b"\0\0"
    return bytes(out[:-2]) + b"\0\1"


# TIFF 6.0. Deflate is Adobe's (8).


def tiff(path, samples, depth, photometric, order="<", tile=None, planar=False, tags=(), rows_per_strip=None):
    """samples: (height, width, channels); tile: (width, height), or strips of rows_per_strip rows."""
    if samples.ndim == 2:
        samples = samples[:, :, None]
    height, width, channels = samples.shape
    planes = [samples[:, :, [channel]] for channel in range(channels)] if planar else [samples]
    across, down = tile or (width, rows_per_strip or height)

    def encoded(part):
        if depth == 16:
            return zlib.compress(part.astype(order + "u2").tobytes(), 9)
        return zlib.compress(b"".join(packed_row(row, depth) for row in part), 9)

    pieces = []
    for plane in planes:
        for top in range(0, height, down):
            for left in range(0, width, across):
                part = plane[top : top + down, left : left + across]
                if tile:
                    part = np.pad(part, ((0, down - part.shape[0]), (0, across - part.shape[1]), (0, 0)), mode="edge")
                pieces.append(encoded(part))
    places, at = [], 8
    for piece in pieces:
        places.append(at)
        at += len(piece) + len(piece) % 2
    short, long = 3, 4
    entries = {256: (short, [width]), 257: (short, [height]), 258: (short, [depth] * channels), 259: (short, [8])}
    entries |= {262: (short, [photometric]), 277: (short, [channels]), 284: (short, [2 if planar else 1])}
    if tile:
        entries |= {322: (short, [across]), 323: (short, [down])}
        entries |= {324: (long, places), 325: (long, [len(piece) for piece in pieces])}
    else:
        entries |= {273: (long, places), 278: (short, [down]), 279: (long, [len(piece) for piece in pieces])}
    entries |= {tag: (short, values) for tag, values in tags}
    directory, outside = struct.pack(order + "H", len(entries)), b""
    after = at + 2 + 12 * len(entries) + 4
    for tag, (kind, values) in sorted(entries.items()):
        body = struct.pack(f"{order}{len(values)}{'H' if kind == short else 'I'}", *values)
        directory += struct.pack(order + "HHI", tag, kind, len(values))
        if len(body) <= 4:
            directory += body.ljust(4, b"\0")
        else:
            directory += struct.pack(order + "I", after + len(outside))
            outside += body + b"\0" * (len(body) % 2)
    with open(path, "wb") as file:
        file.write((b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", at))
        for piece in pieces:
            file.write(piece + b"\0" * (len(piece) % 2))
        file.write(directory + b"\0\0\0\0" + outside)
