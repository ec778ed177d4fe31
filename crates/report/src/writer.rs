//! Writes the report from its first line to its last, group by group.

use crate::text::{Attribute, Text};
use crate::units::{Bytes, Count, Of};
use crate::{GroupKind, ReportGroup, ReportSummary, bursts, decisions, group, words};
use std::fmt::{self, Write};

const STYLE: &str = include_str!("style.css");

/// What the report may load: its embedded pictures and its own style.
const POLICY: &str =
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Writes a report: the beginning, each group, the end. Errors: those of the output.
pub struct ReportWriter<'a> {
    report: &'a ReportSummary,
    to: &'a mut dyn Write,
    /// Groups written.
    groups: u64,
    /// Bytes that these groups can free.
    savings: u64,
}

impl<'a> ReportWriter<'a> {
    /// Writes everything before the first group.
    pub fn begin(report: &'a ReportSummary, to: &'a mut dyn Write) -> Result<Self, fmt::Error> {
        head(report, to)?;
        summary(report, to)?;
        if report.groups_total > 0 {
            filter(to)?;
        }
        to.write_str("<main>\n")?;
        Ok(ReportWriter { report, to, groups: 0, savings: 0 })
    }

    /// Writes a group; the one that frees the most should come first.
    pub fn group(&mut self, group: &ReportGroup) -> fmt::Result {
        self.groups += 1;
        self.savings = self.savings.saturating_add(group.savings);
        group::write(group, self.to)
    }

    /// Writes everything after the last group: bursts, decisions, and a note about groups that are not in the report.
    pub fn end(self) -> fmt::Result {
        let ReportWriter { report, to, groups, savings } = self;
        bursts::write(&report.bursts, &report.catalog, to)?;
        decisions::write(&report.decisions, to)?;
        to.write_str("</main>\n<footer>\n")?;
        let missing = report.groups_total.saturating_sub(groups);
        if report.groups_total == 0 {
            to.write_str("<p>There are no duplicates in this catalog.</p>\n")?;
        } else if missing > 0 {
            writeln!(
                to,
                "<p class=\"missing\"><strong>Not on this page:</strong> {}, with {} to win back. This \
                 page shows {} of {}. All are in <code>lumina.duplicates</code>.</p>",
                Of(missing, "more group"),
                Bytes(report.savings.saturating_sub(savings)),
                Count(groups),
                Count(report.groups_total),
            )?;
        }
        writeln!(
            to,
            "<p>Nothing was deleted, moved or changed. Made by lumina, {}.</p>\n</footer>\n</body>\n</html>",
            Text(&report.generated)
        )
    }
}

fn head(report: &ReportSummary, to: &mut dyn Write) -> fmt::Result {
    writeln!(
        to,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>Duplicates in {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>",
        Attribute(&report.catalog) // a title holds text alone
    )
}

fn summary(report: &ReportSummary, to: &mut dyn Write) -> fmt::Result {
    writeln!(
        to,
        "<header class=\"summary\">\n<h1><span>Duplicate photos in</span> <bdi>{}</bdi></h1>\n<dl>\n\
         <div><dt>to win back</dt><dd>{}</dd></div>\n\
         <div><dt>redundant {}</dt><dd>{}</dd></div>\n\
         <div><dt>{}</dt><dd>{}</dd></div>\n\
         <div><dt>{} compared</dt><dd>{}</dd></div>\n</dl>",
        Text(&report.catalog),
        Bytes(report.savings),
        if report.redundant_files == 1 { "file" } else { "files" },
        Count(report.redundant_files),
        if report.groups_total == 1 { "group" } else { "groups" },
        Count(report.groups_total),
        if report.images == 1 { "picture" } else { "pictures" },
        Count(report.images),
    )?;
    if !report.rule.is_empty() {
        to.write_str("<p>")?;
        words::rule(&report.rule, to)?;
        writeln!(to, " {}</p>", words::strategy(&report.strategy))?;
    }
    write!(to, "<p class=\"generated\">{}", Text(&report.generated))?;
    for (count, noun, link) in
        [(report.bursts.total, "burst", "bursts"), (report.decisions.last.len() as u64, "recent decision", "decisions")]
    {
        if count > 0 {
            write!(to, " · <a href=\"#{link}\">{}</a>", Of(count, noun))?;
        }
    }
    to.write_str("</p>\n</header>\n")
}

/// Shows groups of one kind, by style alone.
fn filter(to: &mut dyn Write) -> fmt::Result {
    to.write_str(
        "<fieldset class=\"filter\">\n<legend>Show</legend>\n\
         <label><input type=\"radio\" name=\"kind\" id=\"only-all\" checked> All</label>\n",
    )?;
    for kind in [GroupKind::Exact, GroupKind::Identical, GroupKind::Near] {
        let (name, words) = (kind.name(), words::kind(kind));
        writeln!(to, "<label><input type=\"radio\" name=\"kind\" id=\"only-{name}\"> {words}</label>")?;
    }
    to.write_str("</fieldset>\n")
}
