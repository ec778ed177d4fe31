//! Bursts: the section that shows some of them by their best pictures, and what is told of an image that is a frame.

use crate::picture;
use crate::text::{Path, Text, literal, name};
use crate::units::Of;
use std::fmt::{self, Write};

/// The bursts of a catalog.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BurstsSummary {
    /// How many there are.
    pub total: u64,
    /// The newest ones.
    pub shown: Vec<ShownBurst>,
}

/// A burst, by its best image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownBurst {
    /// Its number.
    pub id: i64,
    /// Images in it.
    pub frames: u64,
    /// Shots of which these are copies.
    pub shots: u64,
    /// When it began, as text.
    pub started: String,
    /// The camera.
    pub camera: Option<String>,
    /// Whether it may be none: its frames are of one second.
    pub is_suspect: bool,
    /// Where the best image lies.
    pub best: Option<String>,
    /// The thumbnail of that, or why there is none.
    pub thumbnail: Result<Vec<u8>, String>,
}

/// The place of an image in a burst.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FramePlace {
    /// The number of the burst.
    pub burst: i64,
    /// How many frames that has.
    pub frames: u64,
    /// Which of them this is, from 1.
    pub frame: u64,
    /// Of which shot it is, from 1; `None` where the burst may be none.
    pub shot: Option<u64>,
    /// Whether it is the best image of the burst.
    pub is_best: bool,
}

impl FramePlace {
    /// In words, as HTML.
    pub(crate) fn words(&self) -> String {
        let FramePlace { burst, frames, frame, .. } = self;
        let shot = match self.shot {
            Some(shot) => format!(", shot\u{a0}{shot}"),
            None => ", if it is a burst".into(),
        };
        let best = if self.is_best { ", the best one" } else { "" };
        format!("frame\u{a0}{frame} of\u{a0}{frames}{shot}{best} <small>burst\u{a0}{burst}</small>")
    }
}

/// The section; nothing where there are no bursts.
pub(crate) fn write(bursts: &BurstsSummary, catalog: &str, to: &mut dyn Write) -> fmt::Result {
    if bursts.total == 0 {
        return Ok(());
    }
    let shown = match bursts.shown.len() as u64 {
        0 => "",
        shown if shown == bursts.total => " Each is shown by its best picture.",
        1 => " The newest is shown by its best picture.",
        _ => " The newest are shown by their best pictures.",
    };
    writeln!(
        to,
        "<section class=\"bursts\" id=\"bursts\" aria-label=\"Bursts\">\n<header>\n<h2>{}</h2>\n\
         <p>Photographs that a camera took one after the other.{shown} All of them: \
         <code>SELECT * FROM lumina.list_bursts({});</code></p>\n</header>",
        Of(bursts.total, "burst"),
        Text(&literal(catalog)),
    )?;
    if !bursts.shown.is_empty() {
        to.write_str("<div class=\"members\">\n")?;
        bursts.shown.iter().try_for_each(|burst| figure(burst, to))?;
        to.write_str("</div>\n")?;
    }
    to.write_str("</section>\n")
}

fn figure(burst: &ShownBurst, to: &mut dyn Write) -> fmt::Result {
    to.write_str("<figure class=\"member\">\n")?;
    let best = burst.best.as_deref();
    picture::write(&burst.thumbnail, &format!("Best of burst {}", burst.id), best.map(name), to)?;
    write!(
        to,
        "<figcaption>\n<div class=\"verdict\"><strong>{}</strong> <span class=\"why\">{}{}</span></div>\n\
         <div class=\"files\"><ul>",
        Of(burst.frames, "frame"),
        Of(burst.shots, "shot"),
        if burst.is_suspect { ", or no burst: all are of one second" } else { "" },
    )?;
    if let Some(best) = best {
        write!(to, "<li>{}</li>", Path(best))?;
    }
    write!(
        to,
        "</ul></div>\n<dl>\n<div><dt>Burst</dt><dd>{}</dd></div>\n<div><dt>Taken</dt><dd>{}</dd></div>\n",
        burst.id,
        Text(&burst.started),
    )?;
    if let Some(camera) = &burst.camera {
        writeln!(to, "<div><dt>Camera</dt><dd>{}</dd></div>", Text(camera))?;
    }
    to.write_str("</dl>\n</figcaption>\n</figure>\n")
}
