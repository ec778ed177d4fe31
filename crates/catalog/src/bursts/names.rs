//! Names of files as cameras count them: `IMG_0001` is number 1 of `IMG_`. Called by [`super`] for every file.
//!
//! Two frames of one number are taken for one shot, so a number is one only where it surely counts shots: not a date, a
//! time, or a number that is followed by another one, as in `20230415_143218` or `trip2_001`. Invariant: what is read
//! of a name depends on nothing but the name.

/// The longest part of a name that is looked at, in bytes. File systems have shorter ones.
const MAX_LENGTH: usize = 2048;

/// The name of a file without directories and extension, in lower case: what a raw file, its JPEG and an export of
/// either have in common. `IMG_E0001` is what a telephone calls the edited `IMG_0001`.
pub(super) fn stem(path: &[u8], into: &mut Vec<u8>) {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let stem = match name.iter().rposition(|&byte| byte == b'.') {
        Some(dot) if dot > 0 => &name[..dot],
        _ => name,
    };
    into.clear();
    into.extend(stem.iter().take(MAX_LENGTH).map(u8::to_ascii_lowercase));
    if into.starts_with(b"img_e") && into.get(5).is_some_and(u8::is_ascii_digit) {
        into.remove(4);
    }
}

/// The number that a camera has given to a shot: the length of what is before it in the stem, and the number.
pub(super) fn sequence(stem: &[u8]) -> Option<(usize, u32)> {
    let letters = count(stem, |byte| byte.is_ascii_lowercase() || byte == b'_');
    let digits = count(&stem[letters..], |byte| byte.is_ascii_digit());
    if letters > 0 && is_counter(&stem[letters..], digits) {
        return Some((letters, value(&stem[letters..letters + digits])));
    }
    // Four characters of any kind, which users of a camera can choose, and four digits.
    let is_free = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_dcf = count(stem, is_free) >= 8 && count(stem.get(4..)?, |byte| byte.is_ascii_digit()) == 4;
    (is_dcf && !is_date(&stem[..8]) && is_counter(&stem[4..], 4)).then(|| (4, value(&stem[4..8])))
}

/// Whether the digits at the start of a text count shots. Behind them is nothing, or, behind a number of four digits
/// at least, what programs append to the name of an export or a copy: `-edit`, `-2`, ` (1)`.
fn is_counter(text: &[u8], digits: usize) -> bool {
    let (number, rest) = text.split_at(digits);
    if !(1..=9).contains(&digits) || is_date(number) {
        return false;
    }
    let Some(&first) = rest.first() else { return true };
    let has_digits = rest.iter().any(u8::is_ascii_digit);
    let longest = rest.split(|byte| !byte.is_ascii_digit()).map(<[u8]>::len).max().unwrap_or_default();
    let is_year = digits == 4 && (1900..=2100).contains(&value(number));
    digits >= 4
        && !first.is_ascii_alphanumeric()
        && longest <= 2
        && !(is_year && has_digits)
        && !rest.windows(5).any(|word| word == b"burst")
}

/// Whether eight digits are a date.
fn is_date(digits: &[u8]) -> bool {
    if digits.len() != 8 || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let (year, month, day) = (value(&digits[..4]), value(&digits[4..6]), value(&digits[6..]));
    (1900..=2100).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// The value of at most nine digits.
fn value(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'))
}

/// How many bytes at the start are of a kind.
fn count(text: &[u8], is_of_kind: impl Fn(u8) -> bool) -> usize {
    text.iter().take_while(|byte| is_of_kind(**byte)).count()
}
