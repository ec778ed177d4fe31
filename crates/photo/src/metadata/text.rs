//! Texts by cameras, cleaned for display and storage.
//!
//! Called by the modules beside this one. A result is not empty, not longer than [`MAX_CHARACTERS`], and free of
//! control characters (jsonb takes no NUL).

/// The most characters of one text.
const MAX_CHARACTERS: usize = 255;

/// A text without surrounding blanks; `None` if nothing is left. Text that is not UTF-8 is taken as Latin-1.
pub(super) fn clean(bytes: &[u8]) -> Option<String> {
    // More than the longest text that is kept, were every character of four bytes.
    let bytes = bytes.split(|&byte| byte == 0).next()?;
    let head = bytes.get(..4 * MAX_CHARACTERS + 4).unwrap_or(bytes);
    let text: String = match std::str::from_utf8(head) {
        Ok(text) => plain(text.chars()),
        // The limit may cut a character in two.
        Err(error) if error.error_len().is_none() && head.len() < bytes.len() => {
            plain(String::from_utf8_lossy(&head[..error.valid_up_to()]).chars())
        }
        Err(_) => plain(head.iter().map(|&byte| char::from(byte))),
    };
    let text: String = text.trim().chars().take(MAX_CHARACTERS).collect();
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

fn plain(characters: impl Iterator<Item = char>) -> String {
    characters.map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// A name of a camera or a lens; `None` for the placeholders of firmware and converters.
pub(super) fn named(text: String) -> Option<String> {
    let placeholder = matches!(text.as_str(), "0" | "65535" | "255" | "40")
        || text.eq_ignore_ascii_case("unknown")
        || !text.chars().any(char::is_alphanumeric);
    (!placeholder).then_some(text)
}
