//! A thumbnail, or why there is none.

use crate::text::{Attribute, Text};
use crate::units::jpeg_size;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use std::fmt::{self, Write};

/// `what` and `of` are what is read out: "To keep", and the name of the file.
pub(crate) fn write(
    thumbnail: &Result<Vec<u8>, String>,
    what: &str,
    of: Option<&str>,
    to: &mut dyn Write,
) -> fmt::Result {
    match thumbnail {
        Ok(jpeg) => {
            write!(
                to,
                "<div class=\"mat\"><img loading=\"lazy\" decoding=\"async\" alt=\"{what}: {}\"",
                Attribute(of.unwrap_or(""))
            )?;
            if let Some((width, height)) = jpeg_size(jpeg) {
                write!(to, " width=\"{width}\" height=\"{height}\"")?;
            }
            writeln!(to, " src=\"data:image/jpeg;base64,{}\"></div>", Base64Display::new(jpeg, &STANDARD))
        }
        Err(why) => writeln!(to, "<div class=\"mat\"><p>No picture: {}</p></div>", Text(why)),
    }
}
