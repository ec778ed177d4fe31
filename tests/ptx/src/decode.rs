//! Parsed text to programs: names become registers, calls become copies of their functions.
//!
//! A device function is copied to each place that calls it, so that diverged lanes reconverge inside of it by their
//! program counters alone. Recursion is an error. [`operand`] resolves operands, [`opcode`] the instructions.

mod opcode;
mod operand;

use crate::fault::ParseError;
use crate::parse::{Arg, Function, Item, Statement, Text, Variable};
use crate::program::{CallFrame, Instruction, NONE, Op, Plane, Program, Space, Special, Type};
use std::collections::HashMap;

/// Bytes between two shared variables, so that an access just behind one hits nothing.
const SHARED_GAP: u32 = 64;
/// Instructions of a program; a text that expands beyond it is refused.
const LONGEST: usize = 1 << 20;

/// A register's place: its plane, its bits as declared, its number.
#[derive(Debug, Clone, Copy)]
struct Register {
    plane: Plane,
    bits: u32,
    index: u32,
}

/// The meaning of a name.
#[derive(Debug, Clone, Copy)]
enum Meaning {
    Register(Register),
    /// `%r<5>` declares `%r0` to `%r4`; found by the name without its digits.
    Numbered(Register, u32),
    /// A variable or a parameter: its offset in its space.
    Memory(Space, u32),
}

/// The state of decoding an entry.
struct Decoder<'a, 't> {
    text: &'t Text<'a>,
    program: Program,
    scopes: Vec<HashMap<&'a str, Meaning>>,
    /// Labels and jumps of the functions that are being copied, the innermost last.
    jumps: Vec<Jumps<'a>>,
    constants: HashMap<(Plane, u64), u32>,
    specials: HashMap<Special, u32>,
    /// How many of them each plane has, in the order of [`CONSTANTS`].
    placed: [u32; 3],
    /// Functions that are being copied, the innermost last.
    calls: Vec<&'a str>,
}

#[derive(Default)]
struct Jumps<'a> {
    labels: HashMap<&'a str, u32>,
    /// Instruction, label, line.
    open: Vec<(usize, &'a str, u32)>,
    /// Branches that stand for `ret`.
    returns: Vec<usize>,
}

/// Decodes the entry `entry` of `text`.
pub(crate) fn entry<'a>(text: &Text<'a>, entry: &Function<'a>) -> Result<Program, ParseError> {
    let mut decoder = Decoder {
        text,
        program: Program {
            name: entry.name.to_owned(),
            max_threads: entry.max_threads,
            frames: vec![CallFrame::default()],
            ..Program::default()
        },
        scopes: vec![HashMap::new()],
        jumps: Vec::new(),
        constants: HashMap::new(),
        specials: HashMap::new(),
        placed: [0; 3],
        calls: Vec::new(),
    };
    let mut offset = 0u32;
    for param in &entry.params {
        offset = offset.next_multiple_of(param.align.max(1));
        decoder.program.params.push((offset, param.size));
        decoder.declare(param.name, Meaning::Memory(Space::Param, offset), param.line)?;
        offset += param.size;
    }
    decoder.shared(text.shared.iter().filter(|variable| is_named(text, entry, variable.name)))?;
    decoder.body(entry)?;
    // A lane that runs past the end of the text leaves the kernel.
    decoder.push(Op::Exit, entry.line);
    Ok(place_constants(decoder.program))
}

/// Constants are numbered from here until all other registers are numbered: a frame holds no constant.
const CONSTANTS: [(Plane, u32); 3] = [(Plane::Pred, 1 << 24), (Plane::Narrow, 1 << 25), (Plane::Wide, 1 << 26)];

/// Renumbers the constants after the last register of their plane.
fn place_constants(mut program: Program) -> Program {
    let ends = [program.preds, program.narrow, program.wide];
    let place = |index: &mut u32| {
        for (k, (_, first)) in CONSTANTS.iter().enumerate() {
            if (*first..2 * first).contains(index) {
                *index = *index - first + ends[k];
                return;
            }
        }
    };
    for instruction in &mut program.code {
        for index in [&mut instruction.d, &mut instruction.a, &mut instruction.b, &mut instruction.c] {
            place(index);
        }
    }
    program.lists.iter_mut().for_each(place);
    program.specials.iter_mut().for_each(|(_, index)| place(index));
    for (plane, index, _) in &mut program.constants {
        place(index);
        let end = match plane {
            Plane::Pred => &mut program.preds,
            Plane::Narrow => &mut program.narrow,
            Plane::Wide => &mut program.wide,
        };
        *end = (*end).max(*index + 1);
    }
    let last_special = program.specials.iter().map(|(_, index)| index + 1).max();
    program.narrow = program.narrow.max(last_special.unwrap_or(0));
    program
}

/// Whether `function`, or a function that it calls, names `variable`; only such variables take shared memory.
fn is_named(text: &Text<'_>, function: &Function<'_>, variable: &str) -> bool {
    let (mut seen, mut open) = (vec![function.name], vec![function]);
    while let Some(function) = open.pop() {
        for item in &function.body {
            let Item::Statement(statement) = item else { continue };
            for arg in &statement.args {
                let (Arg::Name(name) | Arg::Address(name, _)) = arg else { continue };
                if *name == variable {
                    return true;
                }
                let callee = text.functions.iter().find(|f| f.name == *name && !seen.contains(name));
                if let Some(callee) = callee {
                    seen.push(callee.name);
                    open.push(callee);
                }
            }
        }
    }
    false
}

impl<'a> Decoder<'a, '_> {
    fn declare(&mut self, name: &'a str, meaning: Meaning, line: u32) -> Result<(), ParseError> {
        let last = self.scopes.len() - 1;
        match self.scopes[last].insert(name, meaning) {
            None => Ok(()),
            Some(_) => Err(ParseError::new(line, format!("{name} is declared twice"))),
        }
    }

    /// Places shared variables behind those that are there.
    fn shared<'v>(&mut self, variables: impl Iterator<Item = &'v Variable<'a>>) -> Result<(), ParseError>
    where
        'a: 'v,
    {
        for variable in variables {
            let end = self.program.shared.last().map_or(0, |(offset, size)| offset + size + SHARED_GAP);
            let offset = end.next_multiple_of(variable.align.max(1));
            if variable.size == 0 {
                if self.program.dynamic_shared.is_some() {
                    return Err(ParseError::new(variable.line, "a second extern shared array"));
                }
                self.program.dynamic_shared = Some(offset);
            }
            self.program.shared.push((offset, variable.size));
            self.declare(variable.name, Meaning::Memory(Space::Shared, offset), variable.line)?;
        }
        Ok(())
    }

    /// Reserves local memory.
    fn local(&mut self, variable: &Variable<'_>) -> u32 {
        let offset = self.program.local.next_multiple_of(variable.align.max(1));
        self.program.local = offset + variable.size;
        offset
    }

    fn registers(&mut self, plane: Plane, count: u32) -> u32 {
        let next = match plane {
            Plane::Pred => &mut self.program.preds,
            Plane::Narrow => &mut self.program.narrow,
            Plane::Wide => &mut self.program.wide,
        };
        *next += count;
        *next - count
    }

    /// A number for a register that is filled before the first instruction.
    fn prefilled(&mut self, plane: Plane) -> u32 {
        let k = CONSTANTS.iter().position(|(of, _)| *of == plane).unwrap_or(0);
        self.placed[k] += 1;
        CONSTANTS[k].1 + self.placed[k] - 1
    }

    /// Appends an instruction without operands and returns its index.
    fn push(&mut self, op: Op, line: u32) -> usize {
        let instruction = Instruction { op, guard: 0, d: NONE, a: NONE, b: NONE, c: NONE, e: NONE, offset: 0, line };
        self.program.code.push(instruction);
        self.program.code.len() - 1
    }

    /// The body of a function, its names in a scope of their own.
    fn body(&mut self, function: &Function<'a>) -> Result<(), ParseError> {
        if self.calls.contains(&function.name) {
            return Err(ParseError::new(function.line, format!("{} calls itself", function.name)));
        }
        self.calls.push(function.name);
        self.scopes.push(HashMap::new());
        let depth = self.scopes.len();
        self.jumps.push(Jumps::default());
        for item in &function.body {
            self.item(item, depth)?;
            if self.program.code.len() > LONGEST {
                return Err(ParseError::new(function.line, "too many instructions"));
            }
        }
        if self.scopes.len() != depth {
            return Err(ParseError::new(function.line, "a brace is not closed"));
        }
        let end = self.program.code.len() as u32;
        if let Some(jumps) = self.jumps.pop() {
            for (at, label, line) in jumps.open {
                let target = jumps.labels.get(label);
                let target = target.ok_or_else(|| ParseError::new(line, format!("there is no label {label}")))?;
                self.program.code[at].a = *target;
            }
            for at in jumps.returns {
                self.program.code[at].a = end;
            }
        }
        self.scopes.pop();
        self.calls.pop();
        Ok(())
    }

    fn item(&mut self, item: &Item<'a>, depth: usize) -> Result<(), ParseError> {
        match item {
            Item::Open => self.scopes.push(HashMap::new()),
            Item::Close if self.scopes.len() > depth => drop(self.scopes.pop()),
            Item::Close => return Err(ParseError::new(0, "a brace too many")),
            Item::Label(label) => {
                let at = self.program.code.len() as u32;
                if self.jumps.last_mut().is_some_and(|jumps| jumps.labels.insert(label, at).is_some()) {
                    return Err(ParseError::new(0, format!("label {label} is there twice")));
                }
            }
            Item::Register { kind, name, count, line } => {
                let ty = opcode::type_named(&kind[1..])
                    .ok_or_else(|| ParseError::new(*line, format!("type {kind} is not known")))?;
                let plane = match ty {
                    Type::Pred => Plane::Pred,
                    _ if ty.bits() == 64 => Plane::Wide,
                    _ if ty.bits() >= 16 => Plane::Narrow,
                    _ => return Err(ParseError::new(*line, format!("registers of type {kind} are not known"))),
                };
                let index = self.registers(plane, count.unwrap_or(1));
                let register = Register { plane, bits: ty.bits(), index };
                let meaning = count.map_or(Meaning::Register(register), |n| Meaning::Numbered(register, n));
                self.declare(name, meaning, *line)?;
            }
            Item::Variable { space: "shared", variable } => self.shared(std::iter::once(variable))?,
            Item::Variable { variable, .. } => {
                let offset = self.local(variable);
                self.declare(variable.name, Meaning::Memory(Space::Local, offset), variable.line)?;
            }
            Item::Statement(statement) => self.statement(statement)?,
        }
        Ok(())
    }

    fn statement(&mut self, statement: &Statement<'a>) -> Result<(), ParseError> {
        let fail = |message: String| ParseError::new(statement.line, message);
        let guard = match statement.guard {
            None => 0,
            Some((name, negated)) => {
                let pred = self.pred(name).map_err(&fail)?;
                2 * (pred + 1) + u32::from(negated)
            }
        };
        let base = statement.opcode.split('.').next().unwrap_or_default();
        if base == "call" {
            if guard != 0 {
                return Err(fail("a call with a predicate is not known".into()));
            }
            return self.call(statement);
        }
        let in_function = self.jumps.len() > 1;
        let at = match (base, statement.args.as_slice()) {
            ("bra", [Arg::Name(label)]) => {
                let at = self.push(Op::Branch, statement.line);
                if let Some(jumps) = self.jumps.last_mut() {
                    jumps.open.push((at, label, statement.line));
                }
                at
            }
            ("ret", []) if in_function => {
                let at = self.push(Op::Branch, statement.line);
                if let Some(jumps) = self.jumps.last_mut() {
                    jumps.returns.push(at);
                }
                at
            }
            ("ret" | "exit", []) => self.push(Op::Exit, statement.line),
            _ => {
                let instruction = opcode::decode(self, statement).map_err(&fail)?;
                self.program.code.push(instruction);
                self.program.code.len() - 1
            }
        };
        self.program.code[at].guard = guard;
        Ok(())
    }

    /// Copies the called function here. Its parameters are the caller's variables of the space `param`.
    fn call(&mut self, statement: &Statement<'a>) -> Result<(), ParseError> {
        let fail = |message: &str| ParseError::new(statement.line, format!("call: {message}"));
        let (results, name, params) = match statement.args.as_slice() {
            [Arg::Name(name)] => (&[][..], *name, &[][..]),
            [Arg::Name(name), Arg::List(params)] => (&[][..], *name, &params[..]),
            [Arg::List(results), Arg::Name(name)] => (&results[..], *name, &[][..]),
            [Arg::List(results), Arg::Name(name), Arg::List(params)] => (&results[..], *name, &params[..]),
            _ => return Err(fail("its operands are not known")),
        };
        let text = self.text;
        let function = text.functions.iter().find(|function| function.name == name && !function.is_entry);
        let function = function.ok_or_else(|| fail(&format!("there is no function {name}")))?;
        if results.len() != function.results.len() || params.len() != function.params.len() {
            return Err(fail(&format!("{name} has other parameters")));
        }
        let mut scope = HashMap::new();
        let formal = function.results.iter().chain(&function.params);
        for (variable, actual) in formal.zip(results.iter().chain(params)) {
            match self.meaning(actual) {
                Some(meaning @ Meaning::Memory(Space::Local, _)) => scope.insert(variable.name, meaning),
                _ => return Err(fail(&format!("{actual} is no parameter variable"))),
            };
        }
        let enter = self.push(Op::Enter, statement.line);
        let frame = self.program.frames.len() as u32;
        self.program.code[enter].a = frame;
        self.program.frames.push(CallFrame::default());
        let before = (self.program.preds, self.program.narrow, self.program.wide, self.program.local);
        // The callee sees its parameters and the variables of the text, nothing of its callers.
        let callers = self.scopes.split_off(1);
        self.scopes.push(scope);
        let done = self.body(function);
        self.scopes.truncate(1);
        self.scopes.extend(callers);
        done?;
        self.program.frames[frame as usize] = CallFrame {
            preds: before.0..self.program.preds,
            narrow: before.1..self.program.narrow,
            wide: before.2..self.program.wide,
            local: before.3..self.program.local,
        };
        Ok(())
    }

    /// The space of an access; `param` is that of the entry or, in a function, a variable of its own.
    fn space(&self, space: Option<Space>, base: &str) -> Space {
        match space {
            Some(Space::Param) => match self.meaning(base) {
                Some(Meaning::Memory(space, _)) => space,
                _ if self.jumps.len() > 1 => Space::Local,
                _ => Space::Param,
            },
            Some(space) => space,
            None => Space::Generic,
        }
    }
}
