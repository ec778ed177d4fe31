//! What was decided so far: how much of it stands, the last actions, and how one is taken back.

use crate::text::{Text, joined};
use crate::units::Of;
use std::fmt::{self, Write};

/// The decisions of a catalog.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DecisionsSummary {
    /// Actions that nobody has taken back.
    pub standing: u64,
    /// Images that these have rejected.
    pub images_rejected: u64,
    /// Files that they have rejected of images that are kept.
    pub files_rejected: u64,
    /// Whether there are more actions than were counted.
    pub is_at_least: bool,
    /// The last actions, newest first.
    pub last: Vec<Decision>,
}

/// An action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Its number.
    pub id: i64,
    /// Its kind in SQL.
    pub kind: String,
    /// The group that was decided.
    pub group: Option<i64>,
    /// By whom.
    pub actor: String,
    /// When, as text.
    pub at: String,
    /// Images that it changed.
    pub images: u64,
    /// Files that it changed.
    pub files: u64,
    /// The action that it takes back.
    pub undo_of: Option<i64>,
    /// The action that has taken it back.
    pub undone_by: Option<i64>,
}

impl Decision {
    /// What was decided, as HTML.
    fn words(&self) -> String {
        let group = self.group.map_or_else(String::new, |group| format!("\u{a0}{group}"));
        match (self.kind.as_str(), self.undo_of) {
            ("keep_best", _) => format!("The best of group{group} is kept"),
            ("keep_best_in_all", _) => "The best of every group is kept".into(),
            ("resolve", _) => format!("Some of group{group} are kept"),
            ("keep_all", _) => format!("All of group{group} are kept"),
            ("split_group", _) => format!("Group{group} is split"),
            ("set_image_status", _) => "The status of images is set".into(),
            ("undo", Some(of)) => format!("Action\u{a0}{of} is taken back"),
            (kind, _) => Text(kind).to_string(),
        }
    }
}

/// The section; nothing where nothing was decided.
pub(crate) fn write(decisions: &DecisionsSummary, to: &mut dyn Write) -> fmt::Result {
    if decisions.last.is_empty() && decisions.standing == 0 {
        return Ok(());
    }
    let at_least = if decisions.is_at_least { "at least " } else { "" };
    write!(
        to,
        "<section class=\"decisions\" id=\"decisions\" aria-label=\"Decisions\">\n<header>\n\
         <h2>{at_least}{} <span>{}</span></h2>\n<p>",
        Of(decisions.standing, "decision"),
        if decisions.standing == 1 { "stands" } else { "stand" },
    )?;
    if decisions.images_rejected + decisions.files_rejected > 0 {
        write!(
            to,
            "Rejected by {}: {at_least}{}, and {} of pictures that are kept. ",
            if decisions.standing == 1 { "it" } else { "them" },
            Of(decisions.images_rejected, "picture"),
            Of(decisions.files_rejected, "file"),
        )?;
    }
    to.write_str(
        "All of them, newest first: <code>TABLE lumina.action_history;</code> To take action <i>n</i> back: \
         <code>SELECT lumina.undo(<i>n</i>);</code></p>\n</header>\n<ol>\n",
    )?;
    decisions.last.iter().try_for_each(|decision| item(decision, to))?;
    to.write_str("</ol>\n</section>\n")
}

fn item(decision: &Decision, to: &mut dyn Write) -> fmt::Result {
    write!(
        to,
        "<li><b>{}</b> <span>action\u{a0}{} · by <bdi>{}</bdi> · {}",
        decision.words(),
        decision.id,
        Text(&decision.actor),
        Text(&decision.at)
    )?;
    let changed = [(decision.images, "picture"), (decision.files, "file")];
    let changed: Vec<String> =
        changed.iter().filter(|(count, _)| *count > 0).map(|(count, noun)| Of(*count, noun).to_string()).collect();
    if !changed.is_empty() {
        to.write_str(" · ")?;
        joined(changed, " and ", to)?;
        to.write_str(" changed")?;
    }
    if let Some(undo) = decision.undone_by {
        write!(to, " · taken back by action\u{a0}{undo}")?;
    }
    to.write_str("</span></li>\n")
}
