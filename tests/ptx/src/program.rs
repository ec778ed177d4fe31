//! An executable kernel: instructions whose operands are register numbers.
//!
//! [`crate::decode`] creates it, [`crate::warp`] runs it. Invariants:
//! - Calls are inlined: each call holds a copy of the function's body with its own registers, so that a program counter
//!   alone determines where a lane is.
//! - Numbers and special registers are registers that are filled before the first instruction.
//! - Every register index, operand list and branch target is within bounds.

/// Bits of an integer operation. 16 bits live in the low half of a 32-bit register, the high half zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    W16,
    W32,
    W64,
}

/// A type of PTX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Bits(u32),
    Unsigned(u32),
    Signed(u32),
    Float(u32),
    Pred,
}

impl Type {
    /// Its size in bits; 1 for a predicate.
    pub(crate) fn bits(self) -> u32 {
        match self {
            Self::Bits(bits) | Self::Unsigned(bits) | Self::Signed(bits) | Self::Float(bits) => bits,
            Self::Pred => 1,
        }
    }

    pub(crate) fn is_signed(self) -> bool {
        matches!(self, Self::Signed(_))
    }

    pub(crate) fn is_float(self) -> bool {
        matches!(self, Self::Float(_))
    }
}

/// d = a op b on integers. `S`: signed, `U`: unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    MulHighU,
    MulHighS,
    DivU,
    DivS,
    RemU,
    RemS,
    And,
    Or,
    Xor,
    MinU,
    MinS,
    MaxU,
    MaxS,
    Shl,
    ShrU,
    ShrS,
}

/// d = op a on integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unary {
    Not,
    Neg,
    Abs,
    Reverse,
}

/// Counts over the bits of a; the result has 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    Ones,
    LeadingZeros,
    /// The position of the highest bit that is set (signed: that differs from the sign); all ones if there is none.
    Highest {
        signed: bool,
        shift_amount: bool,
    },
}

/// d = a op b on floating-point numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Real {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
    Sqrt,
    Neg,
    Abs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logic {
    And,
    Or,
    Xor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    Generic,
    Global,
    Shared,
    Local,
    /// The parameters of the entry.
    Param,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Update {
    Add,
    Min,
    Max,
    And,
    Or,
    Xor,
    Exchange,
    CompareAndSwap,
    Increment,
    Decrement,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shuffle {
    Up,
    Down,
    Butterfly,
    Index,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vote {
    Any,
    All,
    Uniform,
    Ballot,
}

/// The shapes of `mma.sync` that are known; all have 16 rows and 8 columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Matrix {
    /// m16n8k32, signed bytes.
    Bytes32,
    /// m16n8k128, bits, AND and POPC.
    Bits128,
    /// m16n8k256, bits, AND and POPC.
    Bits256,
}

/// How a conversion of a floating-point number rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    Nearest,
    Zero,
    Down,
    Up,
}

/// An access of `count` values of `ty`, next to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) space: Space,
    pub(crate) ty: Type,
    pub(crate) count: u8,
    /// The width of its registers, which may be more than that of `ty`.
    pub(crate) register: Width,
    /// `volatile`, `relaxed` and the like: other threads may access the same bytes at the same time.
    pub(crate) is_strong: bool,
}

/// An operation. Operands d, a, b, c are fields of [`Instruction`]; `e` is its index of a list of more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Op {
    Binary(Binary, Width),
    Unary(Unary, Width),
    Count(Count, Width),
    /// d = a * b + c, low half.
    MulAdd(Width),
    /// d = high half of a * b, plus c.
    MulAddHigh {
        signed: bool,
        width: Width,
    },
    /// d = a * b in twice the width.
    MulWide {
        signed: bool,
        from: Width,
    },
    /// d = a * b in twice the width, plus c.
    MulAddWide {
        signed: bool,
        from: Width,
    },
    /// The high (left) or low (right) word of c:b... shifted: `shf`.
    Funnel {
        left: bool,
        clamp: bool,
    },
    Permute,
    /// d = the c bits of a from bit b on.
    Extract {
        signed: bool,
        width: Width,
    },
    /// d = b with the low e[1] bits of a put at bit c.
    Insert(Width),
    Real(Real, u32),
    /// d = a * b + c, rounded once.
    Fma(u32),
    Set(Compare, Type),
    /// Set, combined with the predicate c.
    SetLogic(Compare, Type, Logic),
    /// d = c ? a : b.
    Select(Width),
    Logic(Logic),
    PredNot,
    Move(Width),
    MovePred,
    Convert {
        to: Type,
        from: Type,
        to_register: Width,
        round: Round,
    },
    /// d = a | b << 32, or of 16-bit halves.
    Join(Width),
    /// d, e[0] = the halves of a.
    Split(Width),
    Load(Access),
    Store(Access),
    /// d = the old value at a; b, c are operands. `has_result` is false for `red`.
    Atomic {
        space: Space,
        update: Update,
        ty: Type,
        has_result: bool,
    },
    /// Adds the base of a window to a shared or local address, or subtracts it.
    ToGeneric(Space),
    FromGeneric(Space),
    Shuffle(Shuffle),
    Vote(Vote),
    WarpBarrier,
    Barrier {
        aligned: bool,
    },
    Matrix(Matrix),
    /// The lanes that execute this.
    Active,
    Clock(Width),
    Fence,
    /// Jumps to instruction `a`.
    Branch,
    /// A function begins: registers of [`Program::frames`] `a` are unwritten again.
    Enter,
    Exit,
    Trap,
}

/// An index that means no register.
pub(crate) const NONE: u32 = u32::MAX;

/// An instruction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instruction {
    pub(crate) op: Op,
    /// 0: always; else 2 (p + 1), plus 1 if it runs where predicate p is false.
    pub(crate) guard: u32,
    pub(crate) d: u32,
    pub(crate) a: u32,
    pub(crate) b: u32,
    pub(crate) c: u32,
    /// Where its list of more operands begins in [`Program::lists`].
    pub(crate) e: u32,
    /// Added to an address.
    pub(crate) offset: i64,
    pub(crate) line: u32,
}

/// Which file of registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Plane {
    Pred,
    Narrow,
    Wide,
}

/// Values that differ between threads, blocks or launches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Special {
    Thread(u8),
    Block(u8),
    Threads(u8),
    Blocks(u8),
    Lane,
    Warp,
    LanesBelow,
    LanesUpTo,
    ThisLane,
    LanesFrom,
    LanesAbove,
}

/// The registers and the memory of one copy of a device function.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallFrame {
    pub(crate) preds: std::ops::Range<u32>,
    pub(crate) narrow: std::ops::Range<u32>,
    pub(crate) wide: std::ops::Range<u32>,
    /// Bytes of local memory.
    pub(crate) local: std::ops::Range<u32>,
}

/// A decoded entry.
#[derive(Debug, Clone, Default)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) code: Vec<Instruction>,
    pub(crate) lists: Vec<u32>,
    pub(crate) frames: Vec<CallFrame>,
    /// Registers of each plane, constants included.
    pub(crate) preds: u32,
    pub(crate) narrow: u32,
    pub(crate) wide: u32,
    /// Registers filled with a number.
    pub(crate) constants: Vec<(Plane, u32, u64)>,
    /// Narrow registers filled with a special value.
    pub(crate) specials: Vec<(Special, u32)>,
    /// Bytes of local memory a thread has.
    pub(crate) local: u32,
    /// Offset and size of the shared variables it names; the bytes between them are inaccessible.
    pub(crate) shared: Vec<(u32, u32)>,
    /// The start of an `extern` shared array, whose size the launch sets.
    pub(crate) dynamic_shared: Option<u32>,
    /// Offset and size of each parameter.
    pub(crate) params: Vec<(u32, u32)>,
    pub(crate) max_threads: Option<[u32; 3]>,
}
