//! The section of a group: its members side by side, the one to keep first. What a member shares with that one is toned
//! down, so that the differences stand out.

use crate::text::{Path, Text, joined, name};
use crate::units::{Bytes, Count, Of};
use crate::{Apart, FramePlace, GroupKind, Member, MemberFile, ReportGroup, picture, words};
use std::fmt::{self, Write};

pub(crate) fn write(group: &ReportGroup, to: &mut dyn Write) -> fmt::Result {
    let (id, kind, words) = (group.id, group.kind.name(), words::kind(group.kind));
    let members = std::iter::once(&group.keep).chain(&group.others);
    let files = Of(members.map(|member| member.files.len() as u64 + member.files_more).sum(), "file");
    write!(
        to,
        "<section class=\"group {kind}\" id=\"group-{id}\" aria-label=\"Group {id}: {words}, {files}, {} to \
         win back\">\n\
         <header>\n<h2>{}\u{a0}<span>to win back</span></h2>\n<p><strong>{words}</strong> · {files}",
        Bytes(group.savings).plain(),
        Bytes(group.savings),
    )?;
    if group.kind == GroupKind::Near {
        write!(to, " · confidence {}\u{a0}%", group.confidence)?;
    }
    writeln!(to, " · <a href=\"#group-{id}\">group\u{a0}{id}</a></p>\n</header>\n<div class=\"members\">")?;
    for place in 0..=group.others.len() {
        member(group, place, to)?;
    }
    to.write_str("</div>\n")?;
    if group.others_more > 0 {
        writeln!(
            to,
            "<p class=\"missing\">and {} of this group, not shown</p>",
            Of(group.others_more, "more picture")
        )?;
    }
    also_near(group, to)?;
    to.write_str("</section>\n")
}

/// Place 0 is the image to keep.
fn member(group: &ReportGroup, place: usize, to: &mut dyn Write) -> fmt::Result {
    let member = place.checked_sub(1).map_or(&group.keep, |other| &group.others[other]);
    let is_kept = place == 0;
    writeln!(to, "<figure class=\"member{}\">", if is_kept { " keep" } else { "" })?;
    let verdict = if member.is_protected() { "Protected" } else { "Redundant" };
    let what = if is_kept { "To keep" } else { verdict };
    picture::write(&member.thumbnail, what, member.files.first().map(|file| name(&file.path)), to)?;
    to.write_str("<figcaption>\n<div class=\"verdict\">")?;
    if is_kept {
        to.write_str("<strong>✓\u{a0}Keep</strong>")?;
        // Of one image there are its files to choose from.
        let why = if group.kind == GroupKind::Exact { &group.why_file } else { &group.why };
        if !why.is_empty() {
            to.write_str(" <span class=\"why\">")?;
            joined(why.iter().map(|reason| Text(reason)), "; ", to)?;
            to.write_str("</span>")?;
        }
    } else {
        write!(to, "<strong>{verdict}</strong>")?;
        match member.distance {
            Some(0) => to.write_str(" <span class=\"why\">same hashes</span>")?,
            Some(distance) => write!(to, " <span class=\"why\">distance {distance} of 64</span>")?,
            None => {}
        }
    }
    to.write_str("</div>\n")?;
    files(group, member, is_kept, to)?;
    facts(group, member, to)?;
    to.write_str("</figcaption>\n</figure>\n")
}

/// The files of an image: the one to keep, those that are protected, those that are redundant.
fn files(group: &ReportGroup, member: &Member, is_kept: bool, to: &mut dyn Write) -> fmt::Result {
    to.write_str("<div class=\"files\">")?;
    let (first, others) = member.files.split_at(usize::from(is_kept).min(member.files.len()));
    let (protected, redundant): (Vec<&MemberFile>, Vec<&MemberFile>) =
        others.iter().partition(|file| file.is_protected);
    list(first.iter(), to)?;
    if !first.is_empty() && !group.why_file.is_empty() && group.kind != GroupKind::Exact {
        to.write_str("<p>Of its files this one is kept: ")?;
        joined(group.why_file.iter().map(|reason| Text(reason)), "; ", to)?;
        to.write_str("</p>")?;
    }
    if !protected.is_empty() {
        // That of another image is in its verdict.
        if is_kept {
            copies("Protected", protected.len(), to)?;
        }
        list(protected.into_iter(), to)?;
    }
    if !redundant.is_empty() {
        if is_kept || member.is_protected() {
            copies("Redundant", redundant.len(), to)?;
        } else if redundant.len() > 1 {
            write!(to, "<p>{}, the same byte for byte:</p>", Of(redundant.len() as u64, "file"))?;
        }
        list(redundant.into_iter(), to)?;
    }
    if member.files_more > 0 {
        write!(to, "<p>and {}, the same byte for byte</p>", Of(member.files_more, "more file"))?;
    }
    to.write_str("</div>\n")
}

fn copies(verdict: &str, count: usize, to: &mut dyn Write) -> fmt::Result {
    let copies = if count == 1 { "copy" } else { "copies" };
    write!(to, "<p><strong>{verdict}</strong> {} {copies}, the same byte for byte:</p>", Count(count as u64))
}

fn list<'a>(files: impl Iterator<Item = &'a MemberFile>, to: &mut dyn Write) -> fmt::Result {
    let mut is_begun = false;
    for file in files {
        to.write_str(if is_begun { "" } else { "<ul>" })?;
        is_begun = true;
        write!(to, "<li>{}", Path(&file.path))?;
        to.write_str(if file.is_protected { " <small>protected</small></li>" } else { "</li>" })?;
    }
    to.write_str(if is_begun { "</ul>" } else { "" })
}

/// The facts of an image. A fact that no member has is omitted, so that equal facts are aligned.
fn facts(group: &ReportGroup, member: &Member, to: &mut dyn Write) -> fmt::Result {
    let keep = &group.keep;
    let known = |fact: fn(&Member) -> bool| fact(keep) || group.others.iter().any(fact);
    to.write_str("<dl>\n")?;
    let (size, of_keep) = (Bytes(member.size), Bytes(keep.size));
    fact("Size", &size.to_string(), size.plain() != of_keep.plain(), to)?;
    if known(|member| member.width.is_some() && member.height.is_some()) {
        let pixels = |member: &Member| member.width.zip(member.height);
        fact("Pixels", &said(pixels(member).map(dimensions)), pixels(member) != pixels(keep), to)?;
    }
    fact("Format", &Text(&member.format).to_string(), member.format != keep.format, to)?;
    if known(|member| member.captured.is_some()) {
        let captured = member.captured.as_deref().map(|captured| Text(captured).to_string());
        fact("Taken", &said(captured), member.captured != keep.captured, to)?;
    }
    if known(|member| member.camera.is_some()) {
        let camera = member.camera.as_deref().map(|camera| Text(camera).to_string());
        fact("Camera", &said(camera), member.camera != keep.camera, to)?;
    }
    let quality = |member: &Member| format!("{:.1}\u{a0}of\u{a0}100", member.quality);
    fact("Quality", &quality(member), quality(member) != quality(keep), to)?;
    if known(|member| member.burst.is_some()) {
        let burst = member.burst.as_ref().map_or_else(|| "none".into(), FramePlace::words);
        fact("Burst", &burst, member.burst != keep.burst, to)?;
    }
    if !member.distances.is_empty() {
        let distances =
            member.distances.iter().map(|of| format!("{}\u{a0}{}/{}", Text(&of.hash), of.distance, of.bits));
        let mut all = String::new();
        joined(distances, ", ", &mut all)?;
        fact("Distances", &all, member.distances.iter().any(|of| of.distance > 0), to)?;
    }
    to.write_str("</dl>\n")
}

/// A fact, in HTML.
fn fact(name: &str, value: &str, differs: bool, to: &mut dyn Write) -> fmt::Result {
    let class = if differs { " class=\"differs\"" } else { "" };
    writeln!(to, "<div{class}><dt>{name}</dt><dd>{value}</dd></div>")
}

fn said(value: Option<String>) -> String {
    value.unwrap_or_else(|| "unknown".into())
}

fn dimensions((width, height): (u32, u32)) -> String {
    let megapixels = f64::from(width) * f64::from(height) / 1e6;
    let sides = format!("{width}\u{a0}×\u{a0}{height}");
    if megapixels < 0.1 { sides } else { format!("{sides} <small>{megapixels:.1}\u{a0}MP</small>") }
}

fn also_near(group: &ReportGroup, to: &mut dyn Write) -> fmt::Result {
    if group.also_near.is_empty() && group.also_near_more == 0 {
        return Ok(());
    }
    to.write_str("<aside>\n<p>Also near one of these, but not in the group:</p>\n<ul>")?;
    for near in &group.also_near {
        write!(to, "<li>{} <small>", Path(&near.path))?;
        match near.because {
            Apart::NotNearAll => to.write_str("not near all")?,
            Apart::Decision(action) => write!(to, "kept apart by decision\u{a0}{action}")?,
            Apart::Burst(burst) => write!(to, "another shot of burst\u{a0}{burst}")?,
        }
        to.write_str("</small></li>")?;
    }
    if group.also_near_more > 0 {
        write!(to, "<li>and {}</li>", Of(group.also_near_more, "more picture"))?;
    }
    to.write_str("</ul>\n</aside>\n")
}
