//! Instructions that lanes execute together: shuffles, votes, barriers, matrix products. Part of [`super`].

use super::*;

impl<'a> Opcode<'_, 'a> {
    pub(super) fn collective(&mut self, decoder: &mut Decoder<'a, '_>) -> Result<(), Wrong> {
        let args = &self.statement.args;
        let modifiers: &[&str] = &self.modifiers;
        match (self.base, modifiers, args.as_slice()) {
            ("trap", [], []) => self.op = Some(Op::Trap),
            ("membar" | "fence", _, []) => self.op = Some(Op::Fence),
            ("activemask", ["b32"], [target]) => {
                self.fields[0] = decoder.target(target, B32, false)?;
                self.op = Some(Op::Active);
            }
            ("bar", ["warp", "sync"], [mask]) => {
                self.fields[1] = decoder.source(mask, B32, false)?;
                self.op = Some(Op::WarpBarrier);
            }
            ("bar", ["sync"] | ["cta", "sync"], [id]) | ("barrier", ["sync", "aligned"], [id]) => {
                self.barrier(id, true)?;
            }
            ("barrier", ["sync"] | ["cta", "sync"], [id]) => self.barrier(id, false)?,
            ("shfl", ["sync", mode, "b32"], [target, value, lane, clamp, mask]) => {
                let shuffle = match *mode {
                    "up" => Shuffle::Up,
                    "down" => Shuffle::Down,
                    "bfly" => Shuffle::Butterfly,
                    "idx" => Shuffle::Index,
                    _ => return Ok(()),
                };
                let mut in_range = NONE;
                self.fields[0] = match target {
                    Arg::Pair(d, p) => {
                        in_range = decoder.destination(p, Type::Pred, false)?;
                        decoder.destination(d, B32, false)?
                    }
                    _ => decoder.target(target, B32, false)?,
                };
                self.fields[1] = decoder.source(value, B32, false)?;
                self.fields[2] = decoder.source(lane, B32, false)?;
                self.fields[3] = decoder.source(clamp, B32, false)?;
                let mask = decoder.source(mask, B32, false)?;
                self.fields[4] = decoder.list(&[mask, in_range]);
                self.op = Some(Op::Shuffle(shuffle));
            }
            ("vote", ["sync", mode, kind], [target, value, mask]) => {
                let (vote, ty) = match (*mode, *kind) {
                    ("any", "pred") => (Vote::Any, Type::Pred),
                    ("all", "pred") => (Vote::All, Type::Pred),
                    ("uni", "pred") => (Vote::Uniform, Type::Pred),
                    ("ballot", "b32") => (Vote::Ballot, B32),
                    _ => return Ok(()),
                };
                self.fields[0] = decoder.target(target, ty, false)?;
                self.fields[1] = decoder.source(value, Type::Pred, false)?;
                let mask = decoder.source(mask, B32, false)?;
                self.fields[4] = decoder.list(&[mask]);
                self.op = Some(Op::Vote(vote));
            }
            ("mma", _, [d, a, b, c]) => {
                let matrix = match modifiers.join(".").as_str() {
                    "sync.aligned.m16n8k32.row.col.s32.s8.s8.s32" => Matrix::Bytes32,
                    "sync.aligned.m16n8k128.row.col.s32.b1.b1.s32.and.popc" => Matrix::Bits128,
                    "sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.and.popc" => Matrix::Bits256,
                    _ => return Ok(()),
                };
                self.matrix(decoder, matrix, [d, a, b, c])?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Barrier 0 is the only one that clang makes.
    fn barrier(&mut self, id: &Arg<'a>, aligned: bool) -> Result<(), Wrong> {
        if !matches!(id, Arg::Name("0")) {
            return Err("barriers other than 0 are not known".into());
        }
        self.op = Some(Op::Barrier { aligned });
        Ok(())
    }

    /// Fragments: the list holds the registers of d, a, b, c, in this order.
    fn matrix(&mut self, decoder: &mut Decoder<'a, '_>, matrix: Matrix, args: [&Arg<'a>; 4]) -> Result<(), Wrong> {
        if decoder.text.header.target < 80 {
            return Err("mma with these types needs sm_80".into());
        }
        let (a, b) = if matrix == Matrix::Bits128 { (2, 1) } else { (4, 2) };
        let mut list = Vec::new();
        for (k, (arg, length)) in args.into_iter().zip([4, a, b, 4]).enumerate() {
            let Arg::Vector(names) = arg else { return Err(format!("{arg:?} where a fragment has to be")) };
            if names.len() != length {
                return Err(format!("a fragment of {} registers, not {length}", names.len()));
            }
            for name in names {
                list.push(match k {
                    0 => decoder.destination(name, B32, false)?,
                    _ => decoder.value(name, B32, false)?,
                });
            }
        }
        self.fields[4] = decoder.list(&list);
        self.op = Some(Op::Matrix(matrix));
        Ok(())
    }
}
