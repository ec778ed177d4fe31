//! Numbers in readable form.

use std::fmt::{self, Display, Formatter};

/// A number with a comma between thousands.
pub(crate) struct Count(pub(crate) u64);

impl Display for Count {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                to.write_str(",")?;
            }
            write!(to, "{digit}")?;
        }
        Ok(())
    }
}

/// A number and its noun, with an `s` unless the number is one.
pub(crate) struct Of(pub(crate) u64, pub(crate) &'static str);

impl Display for Of {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        write!(to, "{}\u{a0}{}{}", Count(self.0), self.1, if self.0 == 1 { "" } else { "s" })
    }
}

/// Bytes in the units of `pg_size_pretty`, in steps of 1024, with at least two digits; the exact number as title.
pub(crate) struct Bytes(pub(crate) u64);

const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];

impl Bytes {
    /// Without markup.
    pub(crate) fn plain(&self) -> String {
        let (mut value, mut unit) = (self.0 as f64 / 1024.0, 0);
        if self.0 < 1024 {
            return Of(self.0, "byte").to_string();
        }
        while value >= 1023.5 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let decimals = usize::from(value < 9.95);
        format!("{value:.decimals$}\u{a0}{}", UNITS[unit])
    }
}

impl Display for Bytes {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        write!(to, "<data value=\"{}\" title=\"{}\">{}</data>", self.0, Of(self.0, "byte"), self.plain())
    }
}

/// Width and height in the frame header of a JPEG (ITU-T T.81, B.2.2); `None` if there is none.
pub(crate) fn jpeg_size(jpeg: &[u8]) -> Option<(u16, u16)> {
    let mut rest = jpeg.strip_prefix(&[0xff, 0xd8])?;
    loop {
        let &[0xff, marker, high, low, ..] = rest else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if matches!(marker, 0xc0..=0xc2) {
            let &[y1, y0, x1, x0] = rest.get(5..9)?.first_chunk()?;
            return Some((u16::from_be_bytes([x1, x0]), u16::from_be_bytes([y1, y0])));
        }
        rest = rest.get(2 + length..)?;
    }
}
