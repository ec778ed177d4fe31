//! Parses pages with a tokenizer that is independent of the writer.

use html5gum::{Token, Tokenizer};
use std::collections::BTreeMap;

/// A piece of a page.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    /// The name of an element, and its attributes.
    Start(String, BTreeMap<String, String>),
    /// The name of an element.
    End(String),
    /// What is between.
    Text(String),
}

/// Elements without an end.
const VOID: [&str; 4] = ["img", "input", "meta", "wbr"];

fn string(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// All parts; fails if elements are not nested correctly, or the page violates HTML.
pub(super) fn parts(html: &str) -> Vec<Part> {
    let (mut parts, mut open) = (Vec::new(), Vec::new());
    for Ok(token) in Tokenizer::new(html) {
        match token {
            Token::StartTag(tag) => {
                let attributes = tag.attributes.iter().map(|(name, value)| (string(name), string(&value.value)));
                let name = string(&tag.name);
                if !VOID.contains(&name.as_str()) {
                    open.push(name.clone());
                }
                parts.push(Part::Start(name, attributes.collect()));
            }
            Token::EndTag(tag) => {
                let name = string(&tag.name);
                assert_eq!(open.pop().as_ref(), Some(&name));
                parts.push(Part::End(name));
            }
            Token::String(text) => parts.push(Part::Text(string(&text))),
            Token::Doctype(doctype) => assert_eq!(string(&doctype.name), "html"),
            Token::Comment(comment) => panic!("a comment: {comment:?}"),
            Token::Error(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(open, Vec::<String>::new());
    parts
}

/// The elements with the names of their attributes, without those inside of texts.
pub(super) fn shape(html: &str) -> Vec<String> {
    let inside = ["bdi", "wbr", "code"];
    let shape = |part| match part {
        Part::Start(name, attributes) => {
            let names: Vec<String> = attributes.into_keys().collect();
            (!inside.contains(&name.as_str())).then(|| format!("{name} {}", names.join(" ")))
        }
        Part::End(name) => (!inside.contains(&name.as_str())).then(|| format!("/{name}")),
        Part::Text(_) => None,
    };
    parts(html).into_iter().filter_map(shape).collect()
}

/// All texts.
pub(super) fn text(html: &str) -> String {
    parts(html).iter().filter_map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None }).collect()
}

/// The paths that a page shows, in order, with escaped characters restored.
pub(super) fn paths(html: &str) -> Vec<String> {
    let is = |attributes: &BTreeMap<String, String>, class: &str| attributes.get("class").is_some_and(|is| is == class);
    let (mut paths, mut path, mut unseen) = (Vec::new(), None::<String>, false);
    for part in parts(html) {
        match part {
            Part::Start(name, attributes) if name == "span" && is(&attributes, "path") => path = Some(String::new()),
            Part::End(name) if name == "span" => paths.extend(path.take()),
            Part::Start(name, attributes) if name == "code" => unseen = is(&attributes, "unseen"),
            Part::End(name) if name == "code" => unseen = false,
            Part::Text(text) => {
                let Some(path) = &mut path else { continue };
                if unseen {
                    let number = u32::from_str_radix(text.strip_prefix("U+").unwrap(), 16).unwrap();
                    path.push(char::from_u32(number).unwrap());
                } else {
                    path.push_str(&text);
                }
            }
            _ => {}
        }
    }
    paths
}
