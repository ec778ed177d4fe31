//! Single fields of EXIF data as usable values: impossible ones are dropped.
//!
//! Called by the modules beside this one. Tags are looked up in the EXIF directory and then in the first one, where
//! TIFF/EP raw files (ISO 12234-2) have them.

use exif::{Context, Exif, In, Tag, Value};

use super::text;

/// The fields of the primary picture.
pub(super) struct Fields<'a> {
    pub(super) exif: &'a Exif,
}

impl Fields<'_> {
    /// The value in the EXIF directory or the first one.
    fn value(&self, tag: u16) -> Option<&Value> {
        self.value_in(Context::Exif, tag).or_else(|| self.value_in(Context::Tiff, tag))
    }

    /// The value in one directory.
    pub(super) fn value_in(&self, context: Context, tag: u16) -> Option<&Value> {
        self.exif.get_field(Tag(context, tag), In::PRIMARY).map(|field| &field.value)
    }

    /// The first text that is not blank.
    pub(super) fn text(&self, tag: u16) -> Option<String> {
        match self.value(tag)? {
            Value::Ascii(parts) => parts.iter().find_map(|part| text::clean(part)),
            Value::Byte(bytes) | Value::Undefined(bytes, _) => text::clean(bytes),
            _ => None,
        }
    }

    /// All texts: EXIF's copyright is that of the photographer and that of the editor.
    pub(super) fn texts(&self, tag: u16) -> Option<String> {
        match self.value(tag)? {
            Value::Ascii(parts) => {
                let parts: Vec<_> = parts.iter().filter_map(|part| text::clean(part)).take(2).collect();
                text::clean(parts.join("; ").as_bytes())
            }
            _ => self.text(tag),
        }
    }

    /// A whole number.
    pub(super) fn number(&self, tag: u16) -> Option<u32> {
        let value = self.value(tag)?;
        value.get_uint(0).or_else(|| match value {
            Value::SByte(values) => u32::try_from(*values.first()?).ok(),
            Value::SShort(values) => u32::try_from(*values.first()?).ok(),
            Value::SLong(values) => u32::try_from(*values.first()?).ok(),
            _ => None,
        })
    }

    /// A finite number.
    fn real(&self, tag: u16) -> Option<f64> {
        real(self.value(tag)?)
    }

    /// A number above zero, at most `most`.
    pub(super) fn positive(&self, tag: u16, most: f64) -> Option<f64> {
        self.real(tag).filter(|&number| number > 0.0 && number <= most)
    }

    /// In seconds: ExposureTime, or ShutterSpeedValue, which is its logarithm. A logarithm of zero beside an
    /// ExposureTime that is none is none either: cameras that know no exposure write zeros into both.
    pub(super) fn exposure_time(&self) -> Option<f64> {
        const EXPOSURE_TIME: u16 = 0x829A;
        let is_unknown = |speed: f64| speed == 0.0 && self.value(EXPOSURE_TIME).is_some();
        let speed = || self.real(0x9201).filter(|&speed| speed.abs() < 20.0 && !is_unknown(speed));
        self.positive(EXPOSURE_TIME, 1_000_000.0).or_else(|| Some((-speed()?).exp2()))
    }

    /// FNumber, or ApertureValue, which is twice its logarithm.
    pub(super) fn f_number(&self) -> Option<f64> {
        let aperture = || self.real(0x9202).filter(|aperture| *aperture > 0.0 && *aperture < 20.0);
        self.positive(0x829D, 1000.0).or_else(|| Some((aperture()? / 2.0).exp2()))
    }

    /// PhotographicSensitivity has 16 bits; sensitivities beyond are in the entries that came later. The last entry is
    /// that of Panasonic's raw files.
    pub(super) fn iso(&self) -> Option<u32> {
        let plausible = |&iso: &u32| (1..=10_000_000).contains(&iso) && iso != 65535;
        [0x8827, 0x8833, 0x8832, 0x8831, 0x0017].into_iter().find_map(|tag| self.number(tag).filter(plausible))
    }

    /// A date in one text with its sub-seconds and its offset from UTC, each by its tag. `None` for a blank one and for
    /// one of zeros.
    pub(super) fn date(&self, [date, fraction, offset]: [u16; 3]) -> Option<String> {
        let mut text = self.text(date).filter(|text| text.contains(|digit| matches!(digit, '1'..='9')))?;
        // A text with an offset of its own has seven numbers or eight, or a `Z`; one without seconds has five.
        let numbers = text.split(|letter: char| !letter.is_ascii_digit()).filter(|number| !number.is_empty()).count();
        if matches!(numbers, 5 | 6) && !text.ends_with(['Z', 'z']) {
            let digits = |text: &String| text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
            let after_last = text.rfind(|letter: char| letter.is_ascii_digit()).map_or(text.len(), |at| at + 1);
            if let Some(fraction) = self.text(fraction).filter(|text| numbers == 6 && digits(text)) {
                text.insert_str(after_last, &format!(".{fraction}"));
            }
            let signed = |text: &String| text.len() <= 6 && text.starts_with(['+', '-', 'Z']);
            text.push_str(&self.text(offset).filter(signed).unwrap_or_default());
        }
        Some(text)
    }
}

/// The first number of a value, if it is finite.
pub(super) fn real(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Rational(values) => values.first()?.to_f64(),
        Value::SRational(values) => values.first()?.to_f64(),
        Value::Float(values) => f64::from(*values.first()?),
        Value::Double(values) => *values.first()?,
        Value::SByte(values) => f64::from(*values.first()?),
        Value::SShort(values) => f64::from(*values.first()?),
        Value::SLong(values) => f64::from(*values.first()?),
        _ => f64::from(value.get_uint(0)?),
    };
    number.is_finite().then_some(number)
}
