//! Rules, strategies and kinds in words.

use crate::text::{Text, joined};
use crate::{Distance, GroupKind};
use std::fmt::{self, Write};

/// When two images are near.
pub(crate) fn rule(alternatives: &[Vec<Distance>], to: &mut dyn Write) -> fmt::Result {
    to.write_str("Two pictures are near where ")?;
    for (index, alternative) in alternatives.iter().enumerate() {
        if index > 0 {
            to.write_str("; or ")?;
        }
        let names = alternative.iter().map(|limit| format!("<b>{}</b>", Text(&limit.hash)));
        match alternative.as_slice() {
            [first, rest @ ..] if !rest.is_empty() && rest.iter().all(|limit| most(limit) == most(first)) => {
                joined(names, " and ", to)?;
                write!(to, " each differ in {}", most(first))?;
            }
            limits => {
                let each = names.zip(limits).map(|(name, limit)| format!("{name} differs in {}", most(limit)));
                joined(each, " and ", to)?;
            }
        }
    }
    to.write_str(".")
}

fn most(limit: &Distance) -> String {
    format!("at most {} of {}\u{a0}bits", limit.distance, limit.bits)
}

/// How groups are made of near images; nothing where the strategy is not known.
pub(crate) fn strategy(name: &str) -> &'static str {
    match name {
        "clique" => "In a group every picture is near every other one.",
        "star" => "In a group every picture is near the one to keep.",
        "component" => "In a group pictures hang together by chains of near ones.",
        _ => "",
    }
}

/// The display name of a kind.
pub(crate) fn kind(kind: GroupKind) -> &'static str {
    match kind {
        GroupKind::Exact => "Exact copies",
        GroupKind::Identical => "Identical hashes",
        GroupKind::Near => "Near",
    }
}
