//! Why an image of a group is the one to keep, in words: the merits that no other one has.

/// The merits of an image.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Merits {
    /// Whether it is a camera's raw file.
    pub raw: bool,
    /// Whether it is truncated.
    pub truncated: bool,
    /// Width times height, if known.
    pub pixels: Option<u64>,
    /// In bytes.
    pub size: u64,
    /// The quality score, 0 to 100.
    pub quality: f32,
    /// The format's part of that score, 0 to 100.
    pub quality_format: f32,
    /// The metadata's part of that score, 0 to 100.
    pub quality_metadata: f32,
    /// When it was taken, in a sortable form.
    pub captured: Option<String>,
}

/// Why the first image is preferred, in short.
pub fn why(images: &[Merits]) -> Vec<&'static str> {
    let Some((keep, others)) = images.split_first() else { return Vec::new() };
    if others.is_empty() {
        return vec!["imported first"];
    }
    let beats = |better: &dyn Fn(&Merits) -> bool| others.iter().all(better);
    let mut reasons = Vec::new();
    if !keep.truncated && beats(&|other| other.truncated) {
        reasons.push("the only one that is whole");
    }
    if keep.raw && beats(&|other| !other.raw) {
        reasons.push("raw file");
    } else if beats(&|other| keep.quality_format > other.quality_format) {
        reasons.push("better format");
    }
    if beats(&|other| keep.pixels > other.pixels) {
        reasons.push("more pixels");
    }
    if beats(&|other| keep.size > other.size) {
        reasons.push("larger file");
    }
    if beats(&|other| keep.quality_metadata > other.quality_metadata) {
        reasons.push("says more of how it was taken");
    }
    if !reasons.is_empty() {
        return reasons;
    }
    let is_older = |other: &Merits| match (&keep.captured, &other.captured) {
        (Some(keep), Some(other)) => keep < other,
        (keep, other) => keep.is_some() && other.is_none(),
    };
    vec![if beats(&|other| keep.quality > other.quality) {
        "best quality score"
    } else if beats(&is_older) {
        "taken first"
    } else {
        "as good as any"
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_one_that_no_other_image_has() {
        let other = Merits { pixels: Some(10), size: 10, captured: Some("2020".into()), ..Merits::default() };
        let against = |keep: Merits| why(&[keep, other.clone(), Merits { pixels: None, ..other.clone() }]);
        let like = || other.clone();
        assert_eq!(against(like()), ["as good as any"]);
        assert_eq!(against(Merits { pixels: Some(11), ..like() }), ["more pixels"]);
        assert_eq!(against(Merits { size: 11, raw: true, ..like() }), ["raw file", "larger file"]);
        assert_eq!(against(Merits { quality_format: 1.0, ..like() }), ["better format"]);
        assert_eq!(against(Merits { quality_metadata: 1.0, ..like() }), ["says more of how it was taken"]);
        assert_eq!(against(Merits { quality: 1.0, ..like() }), ["best quality score"]);
        assert_eq!(against(Merits { captured: Some("2019".into()), ..like() }), ["taken first"]);
        assert_eq!(against(Merits { captured: None, ..like() }), ["as good as any"]);
        assert_eq!(why(&[like(), Merits { truncated: true, ..like() }]), ["the only one that is whole"]);
        assert_eq!(why(&[like()]), ["imported first"]);
        assert_eq!(why(&[]), [""; 0]);
    }
}
