//! Splits PTX text into words and punctuation, each with the number of its line. Called by [`crate::parse`].
//!
//! Invariant: comments are dropped, line numbers stay those of the text.

use crate::fault::ParseError;

/// A word or one character of punctuation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A directive, opcode, name, register or number; modifiers belong to it (`ld.param.u64`).
    Word(&'a str),
    /// Text in quotes, without them.
    Quoted(&'a str),
    /// One of `{ } [ ] ( ) , ; : + @ ! | < > =`.
    Mark(char),
}

/// The tokens of a text and a position among them.
pub(crate) struct Tokens<'a> {
    list: Vec<(Token<'a>, u32)>,
    at: usize,
}

const MARKS: &str = "{}[](),;:+@!|<>=";

fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_$%.".contains(c)
}

impl<'a> Tokens<'a> {
    /// Splits `text`; an unknown character is an error.
    pub(crate) fn split(text: &'a str) -> Result<Self, ParseError> {
        let mut list = Vec::new();
        let (mut line, mut rest) = (1, text);
        while let Some(first) = rest.chars().next() {
            let length = if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                rest.find("*/").map(|end| end + 2).ok_or_else(|| ParseError::new(line, "a comment does not end"))?
            } else if first == '"' {
                let end = rest[1..].find('"').ok_or_else(|| ParseError::new(line, "a quoted text does not end"))?;
                list.push((Token::Quoted(&rest[1..=end]), line));
                end + 2
            } else if in_word(first) || first == '-' {
                let end = rest[1..].find(|c| !in_word(c)).map_or(rest.len(), |end| end + 1);
                list.push((Token::Word(&rest[..end]), line));
                end
            } else if MARKS.contains(first) {
                list.push((Token::Mark(first), line));
                1
            } else if first.is_whitespace() {
                first.len_utf8()
            } else {
                return Err(ParseError::new(line, format!("character {first:?} is not known")));
            };
            line += rest[..length].matches('\n').count() as u32;
            rest = &rest[length..];
        }
        Ok(Self { list, at: 0 })
    }

    /// The line of the next token, or of the last one.
    pub(crate) fn line(&self) -> u32 {
        self.list.get(self.at).or(self.list.last()).map_or(1, |(_, line)| *line)
    }

    /// The next token, without taking it.
    pub(crate) fn peek(&self) -> Option<Token<'a>> {
        self.list.get(self.at).map(|(token, _)| *token)
    }

    /// The token after the next one.
    pub(crate) fn peek_second(&self) -> Option<Token<'a>> {
        self.list.get(self.at + 1).map(|(token, _)| *token)
    }

    /// Takes the next token.
    pub(crate) fn next(&mut self) -> Option<Token<'a>> {
        let token = self.peek();
        self.at += usize::from(token.is_some());
        token
    }

    /// Takes the next token if it is `mark`.
    pub(crate) fn accept(&mut self, mark: char) -> bool {
        let is_next = self.peek() == Some(Token::Mark(mark));
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes the next token if it is `word`.
    pub(crate) fn accept_word(&mut self, word: &str) -> bool {
        let is_next = self.peek() == Some(Token::Word(word));
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes `mark`, or fails.
    pub(crate) fn expect(&mut self, mark: char) -> Result<(), ParseError> {
        if self.accept(mark) { Ok(()) } else { Err(self.unexpected(&format!("{mark:?}"))) }
    }

    /// Takes a word, or fails.
    pub(crate) fn word(&mut self) -> Result<&'a str, ParseError> {
        match self.peek() {
            Some(Token::Word(word)) => {
                self.at += 1;
                Ok(word)
            }
            _ => Err(self.unexpected("a word")),
        }
    }

    /// Takes a number, or fails.
    pub(crate) fn number<T: std::str::FromStr>(&mut self) -> Result<T, ParseError> {
        let line = self.line();
        let word = self.word()?;
        word.parse().map_err(|_| ParseError::new(line, format!("{word:?} is no number that fits here")))
    }

    /// The error for an unexpected next token.
    pub(crate) fn unexpected(&self, wanted: &str) -> ParseError {
        match self.peek() {
            Some(token) => ParseError::new(self.line(), format!("{token:?} where {wanted} has to be")),
            None => ParseError::new(self.line(), format!("the text ends where {wanted} has to be")),
        }
    }
}
