//! The open bitstream units of a coded picture (AV1 bitstream specification, 5.3): enough to bound the work that few
//! bytes can ask for. What is wrong in them otherwise is the decoder's to say.

/// Frames of a coded picture, at most: a layered one has up to four, each of which may be shown by a header more.
const MAX_FRAMES: usize = 8;

const SEQUENCE_HEADER: u8 = 1;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;

/// What the units of a coded picture say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Units {
    /// Whether a sequence header is among them.
    pub(super) has_sequence: bool,
    /// Whether the frames are no more than a picture can have.
    pub(super) is_picture: bool,
}

impl Units {
    pub(super) fn read(data: &[u8]) -> Self {
        let (mut has_sequence, mut frames, mut rest) = (false, 0, data);
        while let Some((kind, behind)) = unit(rest) {
            has_sequence |= kind == SEQUENCE_HEADER;
            frames += usize::from(matches!(kind, FRAME_HEADER | FRAME));
            if frames > MAX_FRAMES {
                break;
            }
            rest = behind;
        }
        Units { has_sequence, is_picture: frames <= MAX_FRAMES }
    }
}

/// The type of the first unit, and the bytes behind it; `None` where there is none, or not all of it.
fn unit(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (&head, rest) = bytes.split_first()?;
    let (extension, has_size) = (usize::from(head >> 2 & 1), head & 2 != 0);
    let rest = rest.get(extension..)?;
    let kind = head >> 3 & 15;
    if !has_size {
        return Some((kind, &[]));
    }
    let (size, rest) = leb128(rest)?;
    Some((kind, rest.get(size..)?))
}

/// A number in groups of seven bits (4.10.5), and the bytes behind it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0u64;
    for (place, &byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A unit of a type, with a size.
    fn sized(kind: u8, length: u8) -> Vec<u8> {
        let mut unit = vec![kind << 3 | 2, length];
        unit.resize(2 + usize::from(length), 0xff);
        unit
    }

    fn read(data: &[u8]) -> (bool, bool) {
        let units = Units::read(data);
        (units.has_sequence, units.is_picture)
    }

    #[test]
    fn frames_are_counted() {
        let (delimiter, sequence, frame) = (sized(2, 0), sized(SEQUENCE_HEADER, 10), sized(FRAME, 100));
        assert_eq!(read(&[]), (false, true));
        assert_eq!(read(&frame), (false, true));
        assert_eq!(read(&[&delimiter[..], &sequence, &frame].concat()), (true, true));
        assert_eq!(read(&[sequence.clone(), frame.repeat(8)].concat()), (true, true));
        assert_eq!(read(&[sequence.clone(), frame.repeat(9)].concat()), (true, false));
        assert_eq!(read(&[sized(FRAME_HEADER, 3).repeat(9), sequence].concat()), (false, false));
    }

    #[test]
    fn units_may_break_off() {
        // An extension; a size of three bytes; no size, which lasts to the end.
        assert_eq!(read(&[SEQUENCE_HEADER << 3 | 6, 0, 1, 0xff]), (true, true));
        assert_eq!(read(&[2 << 3 | 2, 0x81, 0x80, 0, 0, SEQUENCE_HEADER << 3 | 2, 0]), (true, true));
        assert_eq!(read(&[FRAME << 3, SEQUENCE_HEADER << 3 | 2, 0]), (false, true));
        for data in [&[0xff][..], &[2], &[2, 0x80], &[2, 5, 0], &[2, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]] {
            assert_eq!(read(data), (false, true), "{data:?}");
        }
    }
}
