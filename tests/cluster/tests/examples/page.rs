//! Reads a page in Markdown: its SQL examples, the marks before them, the statements in its text.
//!
//! Called by the tests of examples. A page that cannot be read in full (an unknown mark or language, a block that is
//! not closed) is an error, so that no example is left out by a slip of the pen.

use std::collections::BTreeMap;

/// Languages of blocks that are no SQL for a server, or that other tests run; `text` is also an example's output.
const OTHERS: [&str; 7] = ["console", "java", "json", "python", "rust", "sh", "text"];

/// An SQL example: a block that begins with "```sql".
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Example {
    /// The number of the block's first line.
    pub line: usize,
    /// The heading that it stands below, without `#`.
    pub heading: String,
    /// The statements.
    pub sql: String,
    /// The output that the page shows: a block "```text" directly after the example.
    pub output: Option<String>,
    /// The marks before the block.
    pub marks: Vec<Mark>,
}

/// A comment before an example that readers do not see, `<!-- test: ... -->`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    /// `skip: reason`: the example is not run.
    Skip(String),
    /// `own database`: the example runs in a database of its own, the ones after it in that of the page.
    OwnDatabase,
    /// `no rows: reason`: a query of the example may find nothing.
    NoRows(String),
}

impl Mark {
    /// The mark that a line is, if it is one.
    fn read(line: &str) -> Result<Option<Mark>, String> {
        let Some(text) = line.trim().strip_prefix("<!-- test:") else { return Ok(None) };
        let text = text.strip_suffix("-->").ok_or("a mark ends in the line in which it begins")?.trim();
        let reason = |prefix: &str| text.strip_prefix(prefix).map(str::trim).filter(|reason| !reason.is_empty());
        match (text, reason("skip:"), reason("no rows:")) {
            ("own database", ..) => Ok(Some(Mark::OwnDatabase)),
            (_, Some(reason), _) => Ok(Some(Mark::Skip(reason.to_owned()))),
            (_, _, Some(reason)) => Ok(Some(Mark::NoRows(reason.to_owned()))),
            _ => Err(format!("an unknown mark, or one without a reason: {text}")),
        }
    }
}

/// The examples of a page and the paragraphs between its blocks, each with the number of its first line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub examples: Vec<Example>,
    pub paragraphs: Vec<(usize, String)>,
}

/// Reads a page; an error names the line.
pub(super) fn read(text: &str) -> Result<Page, String> {
    let mut page = Page::default();
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    let (mut heading, mut marks) = (String::new(), Vec::new());
    // Whether a block of text would be the output of the last example.
    let mut is_after_example = false;
    let mut is_in_paragraph = false;
    while let Some((number, line)) = lines.next() {
        let at = |error: String| format!("line {number}: {error}");
        if let Some(fence) = Fence::open(line) {
            let body = fence.body(&mut lines).ok_or_else(|| at("a block that is not closed".to_owned()))?;
            if fence.language == "sql" {
                let (heading, marks) = (heading.clone(), std::mem::take(&mut marks));
                page.examples.push(Example { line: number, heading, sql: body, output: None, marks });
            } else if !OTHERS.contains(&fence.language) {
                return Err(at(format!("a block in no language that is known: {}", fence.language)));
            } else if !marks.is_empty() {
                return Err(at("a mark before a block that is no SQL".to_owned()));
            } else if is_after_example && fence.language == "text" {
                page.examples.last_mut().expect("the example before").output = Some(body);
            }
            (is_after_example, is_in_paragraph) = (fence.language == "sql", false);
        } else if let Some(mark) = Mark::read(line).map_err(at)? {
            marks.push(mark);
            is_after_example = false;
        } else if line.trim().is_empty() {
            is_in_paragraph = false;
        } else if !marks.is_empty() {
            return Err(at("a mark that is not before a block".to_owned()));
        } else {
            is_after_example = false;
            let title = line.trim_start_matches('#');
            if title.len() < line.len() && title.starts_with(' ') {
                title.trim().clone_into(&mut heading);
            }
            if is_in_paragraph {
                let (_, paragraph) = page.paragraphs.last_mut().expect("the line before");
                paragraph.push(' ');
                paragraph.push_str(line.trim());
            } else {
                page.paragraphs.push((number, line.trim().to_owned()));
            }
            is_in_paragraph = true;
        }
    }
    if marks.is_empty() { Ok(page) } else { Err("a mark at the end of the page".to_owned()) }
}

/// The first line of a block of code.
struct Fence<'a> {
    indent: usize,
    fence: &'a str,
    language: &'a str,
}

impl<'a> Fence<'a> {
    fn open(line: &'a str) -> Option<Self> {
        let rest = line.trim_start();
        let first = rest.chars().next().filter(|first| "`~".contains(*first))?;
        let language = rest.trim_start_matches(first);
        let fence = &rest[..rest.len() - language.len()];
        // A line that begins with code in three backquotes is text.
        let is_fence = fence.len() >= 3 && !language.contains('`');
        is_fence.then(|| Fence { indent: line.len() - rest.len(), fence, language: language.trim() })
    }

    /// The lines up to the end of the block; none if it has no end.
    fn body<'b>(&self, lines: &mut impl Iterator<Item = (usize, &'b str)>) -> Option<String> {
        let mut body = String::new();
        for (_, line) in lines {
            if line.trim() == self.fence {
                return Some(body);
            }
            let indent = line.len() - line.trim_start().len();
            body.push_str(&line[indent.min(self.indent)..]);
            body.push('\n');
        }
        None
    }
}

/// The statements in the text of a page, in code of one backquote, that can be prepared: SELECTs without an ellipsis.
pub(super) fn selects(page: &Page) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, paragraph) in &page.paragraphs {
        let codes = paragraph.split('`').skip(1).step_by(2);
        let whole = codes.filter(|code| code.starts_with("SELECT ") && !code.contains("..."));
        found.extend(whole.map(|code| (*line, code.trim_end_matches(';').to_owned())));
    }
    found
}

/// Preparations of a page: statements by heading. Those before the first `-- ## heading` are for every database.
pub(super) fn sections(setup: &str) -> BTreeMap<String, String> {
    let mut sections = BTreeMap::from([(String::new(), String::new())]);
    let mut heading = String::new();
    for line in setup.lines() {
        if let Some(title) = line.strip_prefix("-- ## ") {
            title.trim().clone_into(&mut heading);
        }
        let section = sections.entry(heading.clone()).or_default();
        section.push_str(line);
        section.push('\n');
    }
    sections
}

#[test]
fn examples_are_read_with_their_marks_and_outputs() {
    let text = [
        "# Title",
        "",
        "Some `SELECT 1;` and",
        "`SELECT a, ...`, `CALL b`.",
        "",
        "```sql",
        "SELECT 1;",
        "```",
        "",
        "## Second",
        "<!-- test: own database -->",
        "<!-- test: no rows: nobody is there -->",
        "",
        "  ```sql",
        "  SELECT 2;",
        "    -- more",
        "  ```",
        "",
        "```text",
        " 2",
        "```",
        "",
        "```text",
        "no output",
        "```",
        "```sql",
        "SELECT 3;",
        "```",
        "The answer:",
        "```text",
        "3",
        "```",
        "<!-- test: skip: why -->",
        "~~~sql",
        "```",
        "~~~",
    ];
    let page = read(&text.join("\n")).unwrap();
    let example = |line, heading: &str, sql: &str, output: Option<&str>, marks: &[Mark]| Example {
        line,
        heading: heading.to_owned(),
        sql: sql.to_owned(),
        output: output.map(str::to_owned),
        marks: marks.to_vec(),
    };
    let marks = [Mark::OwnDatabase, Mark::NoRows("nobody is there".to_owned())];
    let expected = [
        example(6, "Title", "SELECT 1;\n", None, &[]),
        example(14, "Second", "SELECT 2;\n  -- more\n", Some(" 2\n"), &marks),
        example(26, "Second", "SELECT 3;\n", None, &[]),
        example(34, "Second", "```\n", None, &[Mark::Skip("why".to_owned())]),
    ];
    assert_eq!(page.examples, expected);
    assert_eq!(selects(&page), [(3, "SELECT 1".to_owned())]);
}

#[test]
fn a_page_that_cannot_be_read_is_an_error() {
    for (text, error) in [
        ("```sql\nSELECT 1;\n", "line 1: a block that is not closed"),
        ("\n```postgresql\nSELECT 1;\n```\n", "line 2: a block in no language that is known: postgresql"),
        ("```\nSELECT 1;\n```\n", "line 1: a block in no language that is known: "),
        ("<!-- test: skip -->\n```sql\n```\n", "line 1: an unknown mark, or one without a reason: skip"),
        ("<!-- test: skip: -->\n```sql\n```\n", "line 1: an unknown mark, or one without a reason: skip:"),
        ("<!-- test: skpi: slow -->\n", "line 1: an unknown mark, or one without a reason: skpi: slow"),
        ("<!-- test: skip: one\ntwo -->\n", "line 1: a mark ends in the line in which it begins"),
        ("<!-- test: skip: slow -->\ntext\n", "line 2: a mark that is not before a block"),
        ("<!-- test: skip: slow -->\n```sh\n```\n", "line 2: a mark before a block that is no SQL"),
        ("<!-- test: skip: slow -->\n", "a mark at the end of the page"),
    ] {
        assert_eq!(read(text).unwrap_err(), error, "{text}");
    }
}

#[test]
fn preparations_are_read_by_heading() {
    let sections = sections("SELECT 1;\n-- ## A heading\nSELECT 2;\n-- no heading\n-- ## B\n");
    let expected =
        [("", "SELECT 1;\n"), ("A heading", "-- ## A heading\nSELECT 2;\n-- no heading\n"), ("B", "-- ## B\n")];
    assert_eq!(sections, expected.map(|(heading, sql)| (heading.to_owned(), sql.to_owned())).into());
}
