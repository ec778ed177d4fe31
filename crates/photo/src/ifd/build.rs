//! Writes small TIFF structures, JPEG heads and boxes for the tests of this crate, byte by byte.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::ByteOrder;

/// The values of an entry.
#[derive(Clone)]
pub(crate) enum Value {
    Byte(Vec<u8>),
    Ascii(Vec<u8>),
    Short(Vec<u16>),
    Long(Vec<u32>),
    Rational(Vec<(u32, u32)>),
    Undefined(Vec<u8>),
    /// A type, a count and the bytes of the values, in the order of the file.
    Other(u16, u32, Vec<u8>),
    /// A type, a count and the four bytes of value or offset, as they are.
    Bare(u16, u32, u32),
}

pub(crate) fn ascii(text: &str) -> Value {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    Value::Ascii(bytes)
}

pub(crate) fn short(value: u16) -> Value {
    Value::Short(vec![value])
}

pub(crate) fn long(value: u32) -> Value {
    Value::Long(vec![value])
}

/// A file being built; targets are written before what points at them.
pub(crate) struct Builder {
    order: ByteOrder,
    out: Vec<u8>,
}

impl Builder {
    pub(crate) fn new(order: ByteOrder) -> Self {
        let mut out = if order == ByteOrder::Big { b"MM".to_vec() } else { b"II".to_vec() };
        out.resize(8, 0);
        Self { order, out }
    }

    pub(crate) fn bytes2(&self, value: u16) -> [u8; 2] {
        if self.order == ByteOrder::Big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub(crate) fn bytes4(&self, value: u32) -> [u8; 4] {
        if self.order == ByteOrder::Big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    /// The position of the next item.
    pub(crate) fn here(&self) -> u32 {
        u32::try_from(self.out.len()).unwrap()
    }

    pub(crate) fn blob(&mut self, bytes: &[u8]) -> u32 {
        let at = self.here();
        self.out.extend_from_slice(bytes);
        at
    }

    /// Writes a directory and returns its offset.
    pub(crate) fn directory(&mut self, fields: &[(u16, Value)], next: u32) -> u32 {
        let mut table = self.bytes2(u16::try_from(fields.len()).unwrap()).to_vec();
        for (tag, value) in fields {
            let (kind, count, bytes) = self.encode(value);
            table.extend(self.bytes2(*tag));
            table.extend(self.bytes2(kind));
            table.extend(self.bytes4(count));
            if bytes.len() <= 4 {
                table.extend(bytes.iter().copied().chain([0; 4]).take(4));
            } else {
                let at = self.blob(&bytes);
                table.extend(self.bytes4(at));
            }
        }
        table.extend(self.bytes4(next));
        self.blob(&table)
    }

    fn encode(&self, value: &Value) -> (u16, u32, Vec<u8>) {
        let count = |length: usize| u32::try_from(length).unwrap();
        match value {
            Value::Byte(bytes) => (1, count(bytes.len()), bytes.clone()),
            Value::Ascii(bytes) => (2, count(bytes.len()), bytes.clone()),
            Value::Short(values) => (3, count(values.len()), values.iter().flat_map(|v| self.bytes2(*v)).collect()),
            Value::Long(values) => (4, count(values.len()), values.iter().flat_map(|v| self.bytes4(*v)).collect()),
            Value::Rational(values) => {
                let bytes = values.iter().flat_map(|(a, b)| [self.bytes4(*a), self.bytes4(*b)]).flatten().collect();
                (5, count(values.len()), bytes)
            }
            Value::Undefined(bytes) => (7, count(bytes.len()), bytes.clone()),
            Value::Other(kind, length, bytes) => (*kind, *length, bytes.clone()),
            Value::Bare(kind, length, value) => (*kind, *length, self.bytes4(*value).to_vec()),
        }
    }

    pub(crate) fn patch(&mut self, at: u32, bytes: &[u8]) {
        let at = usize::try_from(at).unwrap();
        self.out[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// The file, with its first directory and magic number.
    pub(crate) fn finish(mut self, magic: u16, first: u32) -> Vec<u8> {
        let (magic, first) = (self.bytes2(magic), self.bytes4(first));
        self.patch(2, &magic);
        self.patch(4, &first);
        self.out
    }
}

/// The head of a JPEG, with a frame header of this process (0xC0 for baseline), and `padding` bytes of scan.
pub(crate) fn jpeg(process: u8, width: u16, height: u16, padding: usize) -> Vec<u8> {
    let mut out = vec![0xFF, 0xD8];
    out.extend(frame(process, width, height));
    out.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0]);
    out.resize(out.len() + padding, 0x55);
    out.extend([0xFF, 0xD9]);
    out
}

/// The head of a JPEG with an EXIF block.
pub(crate) fn jpeg_with_exif(tiff: &[u8], width: u16, height: u16) -> Vec<u8> {
    let mut out = vec![0xFF, 0xD8, 0xFF, 0xE1];
    out.extend(u16::try_from(tiff.len() + 8).unwrap().to_be_bytes());
    out.extend(b"Exif\0\0");
    out.extend(tiff);
    out.extend(&jpeg(0xC0, width, height, 8)[2..]);
    out
}

fn frame(process: u8, width: u16, height: u16) -> Vec<u8> {
    let mut out = vec![0xFF, process, 0, 11, 8];
    out.extend(height.to_be_bytes());
    out.extend(width.to_be_bytes());
    out.extend([1, 1, 0x11, 0]);
    out
}

/// A box of ISO base media files.
pub(crate) fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(body.len() + 8).unwrap().to_be_bytes().to_vec();
    out.extend(kind);
    out.extend(body);
    out
}
