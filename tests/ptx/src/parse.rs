//! Parses PTX text into declarations and statements, with names unresolved. [`crate::decode`] resolves them.
//!
//! Grammar: "PTX ISA", chapters "Syntax", "State Spaces, Types, and Variables" and "Directives".

use crate::fault::ParseError;
use crate::token::{Token, Tokens};

/// The values of `.version`, `.target` and `.address_size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The PTX version: major, minor.
    pub version: (u32, u32),
    /// The minimum compute capability of the text, times ten: 75 for `sm_75`.
    pub target: u32,
}

/// A variable in memory, or a parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variable<'a> {
    pub(crate) name: &'a str,
    pub(crate) align: u32,
    /// In bytes; 0 for an `extern` array whose size the launch sets.
    pub(crate) size: u32,
    pub(crate) line: u32,
}

/// Operands as written.
#[derive(Debug, Clone)]
pub(crate) enum Arg<'a> {
    /// A register, a variable or a number.
    Name(&'a str),
    /// `d|p`.
    Pair(&'a str, &'a str),
    /// `{a, b}`.
    Vector(Vec<&'a str>),
    /// `[base+offset]`.
    Address(&'a str, i64),
    /// `(a, b)` of a call.
    List(Vec<&'a str>),
}

/// An instruction.
#[derive(Debug, Clone)]
pub(crate) struct Statement<'a> {
    pub(crate) line: u32,
    /// The predicate before it, and whether it is negated.
    pub(crate) guard: Option<(&'a str, bool)>,
    pub(crate) opcode: &'a str,
    pub(crate) args: Vec<Arg<'a>>,
}

/// An item of a function's body.
#[derive(Debug, Clone)]
pub(crate) enum Item<'a> {
    /// `{`
    Open,
    /// `}`
    Close,
    Label(&'a str),
    /// A register, or as many of them as the last field says, numbered from 0.
    Register {
        kind: &'a str,
        name: &'a str,
        count: Option<u32>,
        line: u32,
    },
    /// A variable in the space `local`, `shared` or `param`.
    Variable {
        space: &'a str,
        variable: Variable<'a>,
    },
    Statement(Statement<'a>),
}

/// An entry or a device function.
#[derive(Debug)]
pub(crate) struct Function<'a> {
    pub(crate) name: &'a str,
    pub(crate) is_entry: bool,
    pub(crate) results: Vec<Variable<'a>>,
    pub(crate) params: Vec<Variable<'a>>,
    /// `.maxntid`.
    pub(crate) max_threads: Option<[u32; 3]>,
    pub(crate) body: Vec<Item<'a>>,
    pub(crate) line: u32,
}

/// A parsed text.
#[derive(Debug)]
pub(crate) struct Text<'a> {
    pub(crate) header: Header,
    /// Shared variables outside of functions.
    pub(crate) shared: Vec<Variable<'a>>,
    pub(crate) functions: Vec<Function<'a>>,
}

/// Bytes of a type such as `.b32`.
fn type_size(kind: &str) -> Option<u32> {
    match kind {
        ".b8" | ".u8" | ".s8" => Some(1),
        ".b16" | ".u16" | ".s16" => Some(2),
        ".b32" | ".u32" | ".s32" | ".f32" => Some(4),
        ".b64" | ".u64" | ".s64" | ".f64" => Some(8),
        _ => None,
    }
}

/// Reads the three directives that every text starts with.
pub(crate) fn header(tokens: &mut Tokens<'_>) -> Result<Header, ParseError> {
    if !tokens.accept_word(".version") {
        return Err(tokens.unexpected(".version"));
    }
    let line = tokens.line();
    let bad = |what: &str| ParseError::new(line, format!("{what} cannot be read"));
    let (major, minor) = tokens.word()?.split_once('.').ok_or_else(|| bad(".version"))?;
    let number = |text: &str| text.parse::<u32>().map_err(|_| bad(".version"));
    let version = (number(major)?, number(minor)?);
    if !tokens.accept_word(".target") {
        return Err(tokens.unexpected(".target"));
    }
    let target = tokens.word()?.strip_prefix("sm_").and_then(|digits| digits.parse().ok());
    let target = target.ok_or_else(|| bad(".target"))?;
    if tokens.accept_word(".address_size") && tokens.number::<u32>()? != 64 {
        return Err(bad(".address_size other than 64"));
    }
    Ok(Header { version, target })
}

/// Parses a whole text.
pub(crate) fn text<'a>(tokens: &mut Tokens<'a>) -> Result<Text<'a>, ParseError> {
    let mut text = Text { header: header(tokens)?, shared: Vec::new(), functions: Vec::new() };
    while tokens.peek().is_some() {
        while [".visible", ".weak", ".extern", ".common"].iter().any(|linkage| tokens.accept_word(linkage)) {}
        let line = tokens.line();
        match tokens.word()? {
            ".shared" => {
                text.shared.push(variable(tokens)?);
                tokens.expect(';')?;
            }
            ".entry" => text.functions.extend(function(tokens, true, line)?),
            ".func" => text.functions.extend(function(tokens, false, line)?),
            other => return Err(ParseError::new(line, format!("{other} is not known outside of a function"))),
        }
    }
    Ok(text)
}

/// `.align n .type name[size]`, after the space.
fn variable<'a>(tokens: &mut Tokens<'a>) -> Result<Variable<'a>, ParseError> {
    let line = tokens.line();
    let align = if tokens.accept_word(".align") { Some(tokens.number()?) } else { None };
    let kind = tokens.word()?;
    let size = type_size(kind).ok_or_else(|| ParseError::new(line, format!("type {kind} is not known")))?;
    let name = tokens.word()?;
    let mut count = 1;
    if tokens.accept('[') {
        count = if tokens.peek() == Some(Token::Mark(']')) { 0 } else { tokens.number::<u32>()? };
        tokens.expect(']')?;
    }
    let total = size.checked_mul(count).ok_or_else(|| ParseError::new(line, format!("{name} is too large")))?;
    Ok(Variable { name, align: align.unwrap_or(size), size: total, line })
}

/// `(.param ..., .param ...)`, if there is one.
fn parameters<'a>(tokens: &mut Tokens<'a>) -> Result<Vec<Variable<'a>>, ParseError> {
    let mut list = Vec::new();
    if !tokens.accept('(') || tokens.accept(')') {
        return Ok(list);
    }
    loop {
        if !tokens.accept_word(".param") {
            return Err(tokens.unexpected(".param"));
        }
        list.push(variable(tokens)?);
        if tokens.accept(')') {
            return Ok(list);
        }
        tokens.expect(',')?;
    }
}

/// A function with its body, or nothing for a declaration.
fn function<'a>(tokens: &mut Tokens<'a>, is_entry: bool, line: u32) -> Result<Option<Function<'a>>, ParseError> {
    let results = if is_entry { Vec::new() } else { parameters(tokens)? };
    let name = tokens.word()?;
    let params = parameters(tokens)?;
    let mut max_threads = None;
    loop {
        if tokens.accept(';') {
            return Ok(None);
        }
        if tokens.accept('{') {
            break;
        }
        let line = tokens.line();
        match tokens.word()? {
            ".maxntid" => {
                let mut shape = [tokens.number()?, 1, 1];
                for size in &mut shape[1..] {
                    if tokens.accept(',') {
                        *size = tokens.number()?;
                    }
                }
                max_threads = Some(shape);
            }
            ".minnctapersm" | ".maxnreg" => drop(tokens.number::<u32>()?),
            ".noreturn" => {}
            other => return Err(ParseError::new(line, format!("{other} is not known before a body"))),
        }
    }
    let mut body = Vec::new();
    let mut depth = 1;
    while depth > 0 {
        if tokens.accept('{') {
            depth += 1;
            body.push(Item::Open);
        } else if tokens.accept('}') {
            depth -= 1;
            body.push(Item::Close);
        } else {
            item(tokens, &mut body)?;
        }
    }
    body.pop(); // the brace that closes the function
    Ok(Some(Function { name, is_entry, results, params, max_threads, body, line }))
}

fn item<'a>(tokens: &mut Tokens<'a>, body: &mut Vec<Item<'a>>) -> Result<(), ParseError> {
    let line = tokens.line();
    if let (Some(Token::Word(label)), Some(Token::Mark(':'))) = (tokens.peek(), tokens.peek_second()) {
        tokens.next();
        tokens.next();
        body.push(Item::Label(label));
        return Ok(());
    }
    let guard = if tokens.accept('@') {
        let negated = tokens.accept('!');
        Some((tokens.word()?, negated))
    } else {
        None
    };
    match tokens.word()? {
        ".pragma" => drop(tokens.next()), // advice to the assembler
        ".loc" => {
            for _ in 0..3 {
                tokens.number::<u32>()?;
            }
            return Ok(()); // the only directive without a semicolon
        }
        ".reg" => {
            let kind = tokens.word()?;
            loop {
                let name = tokens.word()?;
                let mut count = None;
                if tokens.accept('<') {
                    count = Some(tokens.number()?);
                    tokens.expect('>')?;
                }
                body.push(Item::Register { kind, name, count, line });
                if !tokens.accept(',') {
                    break;
                }
            }
        }
        space @ (".local" | ".shared" | ".param") => {
            body.push(Item::Variable { space: &space[1..], variable: variable(tokens)? });
        }
        directive if directive.starts_with('.') => {
            return Err(ParseError::new(line, format!("{directive} is not known in a body")));
        }
        opcode => body.push(Item::Statement(Statement { line, guard, opcode, args: arguments(tokens)? })),
    }
    tokens.expect(';')
}

fn names<'a>(tokens: &mut Tokens<'a>, close: char) -> Result<Vec<&'a str>, ParseError> {
    let mut list = Vec::new();
    while !tokens.accept(close) {
        list.push(tokens.word()?);
        if !tokens.accept(',') {
            tokens.expect(close)?;
            break;
        }
    }
    Ok(list)
}

fn arguments<'a>(tokens: &mut Tokens<'a>) -> Result<Vec<Arg<'a>>, ParseError> {
    let mut args = Vec::new();
    while tokens.peek() != Some(Token::Mark(';')) {
        args.push(if tokens.accept('{') {
            Arg::Vector(names(tokens, '}')?)
        } else if tokens.accept('(') {
            Arg::List(names(tokens, ')')?)
        } else if tokens.accept('[') {
            let base = tokens.word()?;
            let offset = if tokens.accept('+') { tokens.number()? } else { 0 };
            tokens.expect(']')?;
            Arg::Address(base, offset)
        } else {
            let name = tokens.word()?;
            if tokens.accept('|') { Arg::Pair(name, tokens.word()?) } else { Arg::Name(name) }
        });
        if !tokens.accept(',') {
            break;
        }
    }
    Ok(args)
}
