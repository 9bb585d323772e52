//! The integer program: nodes, canonical bytes, limits and static bounds. IR.md is the specification.

use crate::error::{refuse, Result};

pub const MAX_BYTES: usize = 64 << 20;
pub const MAX_NODES: usize = 1 << 16;
pub const MAX_WIRES: usize = 1 << 20;
pub const MAX_TERMS: usize = 1 << 22;
pub const MAX_ENDS: usize = 8192;
pub const MAX_BATCH: usize = 32;
pub const MAX_SHIFT: u32 = 48;
pub const MAX_THERMOMETER: u32 = 4096;
/// Every decomposition takes this many bits or fewer, and every wire lies strictly within +-2^60.
pub const MAX_BITS: u32 = 60;

/// A wire's number: its position among all wires of a record.
pub type Wire = u32;

/// Inclusive bounds of a wire, true of every satisfying assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub lo: i64,
    pub hi: i64,
}

impl Bounds {
    /// Bits that hold `x - lo` for every `x` within.
    pub fn bits(&self) -> u32 {
        bit_length(self.hi.abs_diff(self.lo))
    }

    pub fn contains(&self, x: i64) -> bool {
        self.lo <= x && x <= self.hi
    }

    pub fn within(&self, lo: i64, hi: i64) -> bool {
        lo <= self.lo && self.hi <= hi
    }
}

pub fn bit_length(n: u64) -> u32 {
    64 - n.leading_zeros()
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub bias: i64,
    pub terms: Vec<(Wire, i64)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Input(Vec<Bounds>),
    Linear(Vec<Row>),
    Shift { s: u32, wires: Vec<Wire> },
    ReluShift { s: u32, wires: Vec<Wire> },
    Thermometer { wire: Wire, k: u32 },
    Mux(Vec<(Wire, Wire, Wire)>),
    Output(Vec<Wire>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub label: String,
    pub op: Op,
}

/// A decoded program whose bounds have been proved.
#[derive(Clone, Debug)]
pub struct Program {
    pub nodes: Vec<Node>,
    /// Static bounds of every wire.
    pub bounds: Vec<Bounds>,
    /// For each input, whether a Thermometer on it is its range check.
    pub ranked: Vec<bool>,
}

impl Program {
    /// Decode and check. Refuses with malformed-program, over-limit or overflow.
    pub fn decode(bytes: &[u8]) -> Result<Program> {
        let nodes = decode_nodes(bytes)?;
        let (bounds, ranked) = bound(&nodes)?;
        Ok(Program {
            nodes,
            bounds,
            ranked,
        })
    }

    /// Declared bounds of the inputs.
    pub fn inputs(&self) -> &[Bounds] {
        match &self.nodes[0].op {
            Op::Input(bounds) => bounds,
            _ => unreachable!("decoding puts Input first"),
        }
    }

    pub fn outputs(&self) -> &[Wire] {
        match &self.nodes[self.nodes.len() - 1].op {
            Op::Output(wires) => wires,
            _ => unreachable!("decoding puts Output last"),
        }
    }

    pub fn output_bounds(&self) -> Vec<Bounds> {
        let bound = |&w: &Wire| self.bounds[w as usize];
        self.outputs().iter().map(bound).collect()
    }
}

/// What the static bounds say about a Shift or a ReluShift; see IR.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// The result is this constant.
    Constant(i64),
    /// A ReluShift by 0 of a wire that is never negative.
    Identity,
    /// `x + half - (q_lo << s)` has `bits` bits, of which the upper `bits - s` are `q - q_lo`.
    Shift { q_lo: i64, bits: u32 },
    /// `x + half + 2^k` has `k + 1` bits, of which the highest is the sign.
    Relu { k: u32 },
}

pub fn half(s: u32) -> i64 {
    if s == 0 {
        0
    } else {
        1 << (s - 1)
    }
}

pub fn rounding(relu: bool, s: u32, x: Bounds) -> Rounding {
    let (lo, hi) = (x.lo + half(s), x.hi + half(s));
    let (q_lo, q_hi) = (lo >> s, hi >> s);
    if relu && q_hi <= 0 {
        Rounding::Constant(0)
    } else if relu && q_lo < 0 {
        // Least k with -2^k <= lo and hi < 2^k.
        let k = bit_length(hi as u64).max(bit_length(!lo as u64));
        Rounding::Relu { k }
    } else if s == 0 {
        Rounding::Identity
    } else if q_lo == q_hi {
        Rounding::Constant(q_lo)
    } else {
        let bits = s + bit_length((q_hi - q_lo) as u64);
        Rounding::Shift { q_lo, bits }
    }
}

/// Static bounds of all wires, and which inputs are range-checked by a Thermometer.
fn bound(nodes: &[Node]) -> Result<(Vec<Bounds>, Vec<bool>)> {
    let mut bounds: Vec<Bounds> = Vec::new();
    let mut ranked: Vec<bool> = Vec::new();
    for node in nodes {
        let start = bounds.len();
        match &node.op {
            Op::Input(inputs) => {
                ranked = vec![false; inputs.len()];
                for node in nodes {
                    if let Op::Thermometer { wire, k } = node.op {
                        if let Some(input) = inputs.get(wire as usize) {
                            ranked[wire as usize] |= input.lo == 0 && input.hi == i64::from(k);
                        }
                    }
                }
                for (input, &ranked) in inputs.iter().zip(&ranked) {
                    let hi = match input.bits() {
                        _ if ranked => input.hi,
                        w if w > MAX_BITS => return too_wide(node, start),
                        w => input.lo.saturating_add((1 << w) - 1),
                    };
                    bounds.push(Bounds { lo: input.lo, hi });
                }
            }
            Op::Linear(rows) => {
                for row in rows {
                    match bound_row(row, &bounds[..start]) {
                        Some(b) => bounds.push(b),
                        None => return too_wide(node, bounds.len()),
                    }
                }
            }
            Op::Shift { s, wires } => {
                for &w in wires {
                    let q = |x: i64| (x + half(*s)) >> s;
                    let x = bounds[w as usize];
                    bounds.push(Bounds {
                        lo: q(x.lo),
                        hi: q(x.hi),
                    });
                }
            }
            Op::ReluShift { s, wires } => {
                for &w in wires {
                    let q = |x: i64| ((x + half(*s)) >> s).max(0);
                    let x = bounds[w as usize];
                    bounds.push(Bounds {
                        lo: q(x.lo),
                        hi: q(x.hi),
                    });
                }
            }
            Op::Thermometer { wire, k } => {
                if !bounds[*wire as usize].within(0, i64::from(*k)) {
                    let label = &node.label;
                    return refuse(
                        "malformed-program",
                        format!("node '{label}': Thermometer of {k} reads wire {wire}, which exceeds 0..{k}"),
                    );
                }
                bounds.extend((0..*k).map(|_| Bounds { lo: 0, hi: 1 }));
            }
            Op::Mux(muxes) => {
                for &(bit, a, b) in muxes {
                    if !bounds[bit as usize].within(0, 1) {
                        let label = &node.label;
                        return refuse(
                            "malformed-program",
                            format!("node '{label}': Mux selects by wire {bit}, whose bounds exceed 0..1"),
                        );
                    }
                    let (a, b) = (bounds[a as usize], bounds[b as usize]);
                    bounds.push(Bounds {
                        lo: a.lo.min(b.lo),
                        hi: a.hi.max(b.hi),
                    });
                }
            }
            Op::Output(_) => {}
        }
        let limit = 1i64 << MAX_BITS;
        for (i, b) in bounds.iter().enumerate().skip(start) {
            if !b.within(1 - limit, limit - 1) || b.bits() > MAX_BITS {
                return too_wide(node, i);
            }
        }
        check_decompositions(node, &bounds)?;
    }
    Ok((bounds, ranked))
}

/// Bounds of a Linear row; None if a partial sum might leave 62 bits.
fn bound_row(row: &Row, bounds: &[Bounds]) -> Option<Bounds> {
    let (mut lo, mut hi) = (i128::from(row.bias), i128::from(row.bias));
    let mut magnitude = i128::from(row.bias).abs();
    for &(wire, coefficient) in &row.terms {
        let b = bounds[wire as usize];
        let ends = [b.lo, b.hi].map(|end| i128::from(coefficient) * i128::from(end));
        lo += ends[0].min(ends[1]);
        hi += ends[0].max(ends[1]);
        magnitude += ends[0].abs().max(ends[1].abs());
    }
    let fits = magnitude < 1 << 62;
    fits.then_some(Bounds {
        lo: lo as i64,
        hi: hi as i64,
    })
}

fn check_decompositions(node: &Node, bounds: &[Bounds]) -> Result<()> {
    let (relu, s, wires) = match &node.op {
        Op::Shift { s, wires } => (false, *s, wires),
        Op::ReluShift { s, wires } => (true, *s, wires),
        _ => return Ok(()),
    };
    for &w in wires {
        let bits = match rounding(relu, s, bounds[w as usize]) {
            Rounding::Shift { bits, .. } => bits,
            Rounding::Relu { k } => k + 1,
            Rounding::Constant(_) | Rounding::Identity => 0,
        };
        if bits > MAX_BITS {
            return too_wide(node, w as usize);
        }
    }
    Ok(())
}

fn too_wide<T>(node: &Node, wire: usize) -> Result<T> {
    let label = &node.label;
    refuse(
        "overflow",
        format!(
            "node '{label}': wire {wire} may need more than {MAX_BITS} bits; quantise with smaller scales"
        ),
    )
}

// --- bytes
// ---------------------------------------------------------------------------------------------------------

const MAGIC: &[u8; 4] = b"PWIR";
const VERSION: u16 = 1;

fn decode_nodes(bytes: &[u8]) -> Result<Vec<Node>> {
    if bytes.len() > MAX_BYTES {
        return refuse(
            "over-limit",
            format!("the program has more than {MAX_BYTES} bytes"),
        );
    }
    let mut reader = Reader { bytes, at: 0 };
    if reader.take::<4>()? != *MAGIC || u16::from_le_bytes(reader.take()?) != VERSION {
        return refuse(
            "malformed-program",
            "the program does not begin with PWIR, version 1",
        );
    }
    let count = reader.count("nodes", MAX_NODES)?;
    let mut nodes = Vec::new();
    let (mut wires, mut terms) = (0usize, 0usize);
    for i in 0..count {
        let tag = reader.byte()?;
        let label = reader.label()?;
        if (i == 0) != (tag == 0) || (i + 1 == count) != (tag == 6) {
            return refuse(
                "malformed-program",
                "Input must be the first node, Output the last, and each occur once",
            );
        }
        let op = reader.op(tag, wires, &mut terms)?;
        wires += match &op {
            Op::Input(bounds) => bounds.len(),
            Op::Linear(rows) => rows.len(),
            Op::Shift { wires, .. } | Op::ReluShift { wires, .. } => wires.len(),
            Op::Thermometer { k, .. } => *k as usize,
            Op::Mux(muxes) => muxes.len(),
            Op::Output(_) => 0,
        };
        if wires > MAX_WIRES {
            return refuse(
                "over-limit",
                format!("the program has more than {MAX_WIRES} wires"),
            );
        }
        nodes.push(Node { label, op });
    }
    if nodes.len() < 2 || reader.at != bytes.len() {
        return refuse(
            "malformed-program",
            "the program does not end after its Output node",
        );
    }
    Ok(nodes)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self
            .bytes
            .get(self.at..self.at + N)
            .and_then(|b| b.try_into().ok())
        {
            Some(array) => {
                self.at += N;
                Ok(array)
            }
            None => refuse(
                "malformed-program",
                format!("the program ends early, at byte {}", self.at),
            ),
        }
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take::<1>()?[0])
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.take()?))
    }

    fn label(&mut self) -> Result<String> {
        let length = self.byte()? as usize;
        let bytes = self.bytes.get(self.at..self.at + length).unwrap_or_default();
        if length > 63 || bytes.len() != length || !bytes.iter().all(|b| (0x20..=0x7e).contains(b)) {
            return refuse(
                "malformed-program",
                "a label must be at most 63 bytes of printable ASCII",
            );
        }
        self.at += length;
        Ok(bytes.iter().map(|&b| char::from(b)).collect())
    }

    fn count(&mut self, what: &str, limit: usize) -> Result<usize> {
        match self.u32()? as usize {
            0 => refuse(
                "malformed-program",
                format!("the number of {what} must be at least 1"),
            ),
            n if n > limit => refuse("over-limit", format!("more than {limit} {what}")),
            n => Ok(n),
        }
    }

    fn wire(&mut self, wires: usize) -> Result<Wire> {
        match self.u32()? {
            w if (w as usize) < wires => Ok(w),
            w => refuse(
                "malformed-program",
                format!("wire {w} is read before it is written"),
            ),
        }
    }

    fn wires(&mut self, what: &str, limit: usize, wires: usize) -> Result<Vec<Wire>> {
        let n = self.count(what, limit)?;
        (0..n).map(|_| self.wire(wires)).collect()
    }

    fn shift(&mut self, least: u32) -> Result<u32> {
        match u32::from(self.byte()?) {
            s if (least..=MAX_SHIFT).contains(&s) => Ok(s),
            s => refuse(
                "malformed-program",
                format!("a shift by {s}: {least} to {MAX_SHIFT} are possible"),
            ),
        }
    }

    fn row(&mut self, wires: usize, total: &mut usize) -> Result<Row> {
        let bias = self.i64()?;
        let n = self.u32()? as usize;
        *total = total.saturating_add(n);
        if *total > MAX_TERMS {
            return refuse(
                "over-limit",
                format!("the program has more than {MAX_TERMS} linear terms"),
            );
        }
        let mut terms: Vec<(Wire, i64)> = Vec::new();
        for _ in 0..n {
            let (wire, coefficient) = (self.wire(wires)?, self.i64()?);
            if coefficient == 0 || terms.last().is_some_and(|&(last, _)| last >= wire) {
                return refuse(
                    "malformed-program",
                    "a row's wires must increase and its coefficients must not be 0",
                );
            }
            terms.push((wire, coefficient));
        }
        Ok(Row { bias, terms })
    }

    fn op(&mut self, tag: u8, wires: usize, terms: &mut usize) -> Result<Op> {
        Ok(match tag {
            0 => {
                let n = self.count("inputs", MAX_ENDS)?;
                let mut bounds = Vec::new();
                for _ in 0..n {
                    let (lo, hi) = (self.i64()?, self.i64()?);
                    if lo > hi {
                        return refuse(
                            "malformed-program",
                            format!("an input from {lo} to {hi} has no values"),
                        );
                    }
                    bounds.push(Bounds { lo, hi });
                }
                Op::Input(bounds)
            }
            1 => {
                let n = self.count("rows", MAX_WIRES)?;
                Op::Linear((0..n).map(|_| self.row(wires, terms)).collect::<Result<_>>()?)
            }
            2 => Op::Shift {
                s: self.shift(1)?,
                wires: self.wires("shifts", MAX_WIRES, wires)?,
            },
            3 => Op::ReluShift {
                s: self.shift(0)?,
                wires: self.wires("relus", MAX_WIRES, wires)?,
            },
            4 => {
                let wire = self.wire(wires)?;
                let k = self.count("thermometer steps", MAX_THERMOMETER as usize)? as u32;
                Op::Thermometer { wire, k }
            }
            5 => {
                let n = self.count("muxes", MAX_WIRES)?;
                let mux = |r: &mut Self| Ok((r.wire(wires)?, r.wire(wires)?, r.wire(wires)?));
                Op::Mux((0..n).map(|_| mux(self)).collect::<Result<_>>()?)
            }
            6 => Op::Output(self.wires("outputs", MAX_ENDS, wires)?),
            tag => return refuse("malformed-program", format!("unknown node tag {tag}")),
        })
    }
}
