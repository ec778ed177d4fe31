//! Finds the chunks of PNG files (ISO/IEC 15948, 5.3).

use crate::ifd::ByteOrder;

/// A chunk.
pub(crate) struct Chunk<'a> {
    /// Its four letters, which its checksum covers too.
    pub(crate) name: &'a [u8],
    /// Its data; fewer than it claims where the bytes end in it.
    pub(crate) body: &'a [u8],
    /// The checksum that stands behind it, if it does.
    pub(crate) crc: Option<u32>,
}

/// The chunks of a file, to its end.
pub(crate) fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (head, body) = rest.split_at_checked(8)?;
        let length = usize::try_from(ByteOrder::Big.number(head.get(..4)?)).ok()?;
        let (body, behind) = body.split_at_checked(length).unwrap_or((body, &[]));
        let crc = behind.split_at_checked(4);
        rest = crc.map_or(&[], |(_, rest)| rest);
        let crc = crc.and_then(|(crc, _)| u32::try_from(ByteOrder::Big.number(crc)).ok());
        Some(Chunk { name: head.get(4..)?, body, crc })
    })
}
