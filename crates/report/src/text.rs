//! Data as HTML: no text from a catalog can become markup, hide, or reorder the characters around it.
//!
//! Every text of a user goes through [`Text`], [`Attribute`] or [`Path`]; there is no other way into the report.

use std::fmt::{self, Display, Formatter, Write};

/// The content of an element. An invisible character is shown as its number, in an element of its own.
pub(crate) struct Text<'a>(pub(crate) &'a str);

/// The value of an attribute, between double quotes.
pub(crate) struct Attribute<'a>(pub(crate) &'a str);

/// A path: its folders, and the name. It is displayed from left to right, whatever its script.
pub(crate) struct Path<'a>(pub(crate) &'a str);

/// Whether a character is invisible, or moves others: controls, line ends, direction marks, fillers, and noncharacters.
/// Joiners are not included: some scripts need them.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}')
        || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(character, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
        || matches!(character, '\u{fdd0}'..='\u{fdef}')
        || character as u32 & 0xfffe == 0xfffe
}

/// Writes the text with HTML's special characters escaped, and passes invisible ones to `unseen`.
fn escape(text: &str, to: &mut Formatter<'_>, unseen: impl Fn(char, &mut Formatter<'_>) -> fmt::Result) -> fmt::Result {
    let mut written = 0;
    for (place, character) in text.char_indices() {
        let escaped = match character {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&quot;",
            '\'' => "&#39;",
            _ if is_unseen(character) => "",
            _ => continue,
        };
        to.write_str(&text[written..place])?;
        written = place + character.len_utf8();
        if escaped.is_empty() { unseen(character, to)? } else { to.write_str(escaped)? }
    }
    to.write_str(&text[written..])
}

impl Display for Text<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        escape(self.0, to, |unseen, to| write!(to, "<code class=\"unseen\">U+{:04X}</code>", unseen as u32))
    }
}

impl Display for Attribute<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        escape(self.0, to, |unseen, to| write!(to, "[U+{:04X}]", unseen as u32))
    }
}

impl Display for Path<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let (folders, name) = self.0.split_at(self.0.rfind('/').map_or(0, |slash| slash + 1));
        to.write_str("<span class=\"path\" dir=\"ltr\">")?;
        for folder in folders.split_inclusive('/') {
            let name = folder.strip_suffix('/').unwrap_or(folder);
            part(name, to)?;
            to.write_str(if name.is_empty() { "/" } else { "/<wbr>" })?;
        }
        to.write_str("<b>")?;
        part(name, to)?;
        to.write_str("</b></span>")
    }
}

/// A part of a path. Right-to-left text stays within its part.
fn part(text: &str, to: &mut Formatter<'_>) -> fmt::Result {
    if text.is_ascii() { write!(to, "{}", Text(text)) } else { write!(to, "<bdi>{}</bdi>", Text(text)) }
}

/// The name at the end of a path, or the whole path if it has none.
pub(crate) fn name(path: &str) -> &str {
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path)
}

/// A text as a literal of SQL; not yet HTML.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Writes the items with a separator between them.
pub(crate) fn joined<T: Display>(
    items: impl IntoIterator<Item = T>,
    separator: &str,
    to: &mut dyn Write,
) -> fmt::Result {
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            to.write_str(separator)?;
        }
        write!(to, "{item}")?;
    }
    Ok(())
}
