//! What one file names: its imports, and the paths in its code. Works on tokens, so that what is in macros counts.

use proc_macro2::{Delimiter, LexError, TokenStream, TokenTree};
use std::iter::Peekable;
use std::str::FromStr;

/// What a file names.
#[derive(Debug, Default)]
pub(crate) struct Module {
    pub(crate) imports: Vec<Import>,
    /// Paths of at least two names, those of imports that are not only passed on among them.
    pub(crate) paths: Vec<Vec<String>>,
}

/// One name of a `use`.
#[derive(Debug)]
pub(crate) struct Import {
    /// Whether it is passed on to other modules.
    pub(crate) public: bool,
    /// The name that it has here.
    pub(crate) name: String,
    pub(crate) path: Vec<String>,
}

type Tokens = Peekable<proc_macro2::token_stream::IntoIter>;

impl Module {
    pub(crate) fn parse(text: &str) -> Result<Self, LexError> {
        let mut module = Module::default();
        module.read(TokenStream::from_str(text)?);
        Ok(module)
    }

    fn read(&mut self, stream: TokenStream) {
        let mut tokens = stream.into_iter().peekable();
        let (mut public, mut is_test) = (false, false);
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(mark) if mark.as_char() == '#' => {
                    if let Some(TokenTree::Group(attribute)) = tokens.peek() {
                        is_test |= attribute.stream().to_string().replace(' ', "").starts_with("cfg(test)");
                        tokens.next();
                    }
                }
                TokenTree::Ident(word) if word == "pub" => {
                    public = true;
                    if matches!(tokens.peek(), Some(TokenTree::Group(to)) if to.delimiter() == Delimiter::Parenthesis) {
                        tokens.next();
                    }
                }
                TokenTree::Ident(word) if word == "use" => {
                    let mut found = Vec::new();
                    tree(&mut tokens, &[], &mut found);
                    for (name, path) in found.into_iter().filter(|_| !is_test) {
                        if !public {
                            self.paths.push(path.clone());
                        }
                        self.imports.push(Import { public, name, path });
                    }
                    (public, is_test) = (false, false);
                }
                TokenTree::Ident(word) => {
                    let mut path = vec![word.to_string()];
                    while let Some(name) = next_name(&mut tokens) {
                        path.push(name);
                    }
                    if path.len() > 1 {
                        self.paths.push(path);
                    }
                }
                TokenTree::Group(group) => {
                    if !is_test {
                        self.read(group.stream());
                    }
                    if group.delimiter() == Delimiter::Brace {
                        (public, is_test) = (false, false);
                    }
                }
                TokenTree::Punct(mark) if mark.as_char() == ';' => (public, is_test) = (false, false),
                TokenTree::Punct(_) | TokenTree::Literal(_) => (),
            }
        }
    }
}

/// Reads `::name`, if that comes next.
fn next_name(tokens: &mut Tokens) -> Option<String> {
    let mut ahead = tokens.clone();
    for _ in 0..2 {
        match ahead.next() {
            Some(TokenTree::Punct(mark)) if mark.as_char() == ':' => (),
            _ => return None,
        }
    }
    let Some(TokenTree::Ident(name)) = ahead.next() else { return None };
    *tokens = ahead;
    Some(name.to_string())
}

/// Reads the rest of a `use` as (name, path): `a::{b, c as d}` has two.
fn tree(tokens: &mut Tokens, before: &[String], found: &mut Vec<(String, Vec<String>)>) {
    let mut path = before.to_vec();
    let mut alias = None;
    let mut is_done = false;
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) if word == "as" => {
                alias = tokens.next().map(|name| name.to_string());
            }
            TokenTree::Ident(name) if name == "self" && !path.is_empty() => (),
            TokenTree::Ident(name) => path.push(name.to_string()),
            TokenTree::Group(group) => {
                let mut inner = group.stream().into_iter().peekable();
                while inner.peek().is_some() {
                    tree(&mut inner, &path, found);
                }
                is_done = true;
            }
            TokenTree::Punct(mark) if mark.as_char() == ';' || mark.as_char() == ',' => break,
            TokenTree::Punct(_) | TokenTree::Literal(_) => (), // `::`, and `*`: the module itself
        }
    }
    if !is_done && let Some(name) = alias.or_else(|| path.last().cloned()) {
        found.push((name, path));
    }
}
