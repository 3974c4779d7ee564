//! How much stack a program takes with all functions that are under way at once, as Linux 6.1 counts it. Newer kernels
//! count less, and the one that the tests run on would take what that one refuses.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context as _, Result};
use aya_obj::Object;
use aya_obj::generated::bpf_insn;

/// Bytes that a program may take.
pub const LIMIT: u32 = 512;

/// A function takes no less, and a multiple of that (`check_max_stack_depth` of Linux 6.1).
const STEP: u32 = 32;

/// Parts of instructions: `call`, load of 64 bits, move and addition of 64 bits, and registers that say of whom.
const CALL: u8 = 0x85;
const LOAD: u8 = 0x18;
const MOVE: u8 = 0xbf;
const ADD: u8 = 0x07;
const CALL_FUNCTION: u8 = 1;
const LOAD_FUNCTION: u8 = 4;
const FRAME: u8 = 10;
const REGISTERS: usize = 11;

/// The deepest chain of calls of each program of an object, in bytes of stack.
///
/// # Errors
/// When the object cannot be read.
pub fn depths(object: &[u8]) -> Result<BTreeMap<String, u32>> {
    let mut object = Object::parse(object).context("the object cannot be read")?;
    let sections: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
    object.relocate_calls(&sections).context("calls cannot be resolved")?;
    let programs = object.programs.iter().filter_map(|(name, program)| {
        let function = object.functions.get(&program.function_key())?;
        Some((name.clone(), Functions::of(&function.instructions).deepest(0)))
    });
    Ok(programs.collect())
}

/// The functions of one program, by where they begin: what each takes, and whom it calls.
struct Functions(BTreeMap<usize, (u32, Vec<usize>)>);

impl Functions {
    fn of(code: &[bpf_insn]) -> Self {
        let mut begins: Vec<usize> =
            code.iter().enumerate().filter_map(|(at, one)| callee(at, one)).collect();
        begins.push(0);
        begins.sort_unstable();
        begins.dedup();
        let ends = begins.iter().skip(1).copied().chain([code.len()]);
        let functions = begins.iter().zip(ends).map(|(begin, end)| {
            let body = &code[*begin..end];
            let calls = body.iter().enumerate().filter_map(|(at, one)| callee(begin + at, one)).collect();
            (*begin, (frame(body), calls))
        });
        Functions(functions.collect())
    }

    /// Recursion is no worry: the verifier refuses it.
    fn deepest(&self, begin: usize) -> u32 {
        let Some((own, calls)) = self.0.get(&begin) else { return 0 };
        own.max(&1).next_multiple_of(STEP) + calls.iter().map(|call| self.deepest(*call)).max().unwrap_or(0)
    }
}

/// Where the function begins that an instruction calls, or hands to a helper that will.
fn callee(at: usize, one: &bpf_insn) -> Option<usize> {
    let is_call = one.code == CALL && one.src_reg() == CALL_FUNCTION;
    let is_load = one.code == LOAD && one.src_reg() == LOAD_FUNCTION;
    (is_call || is_load).then(|| at.checked_add_signed(one.imm as isize + 1)).flatten()
}

/// Bytes of stack that a function's instructions reach.
fn frame(body: &[bpf_insn]) -> u32 {
    let mut copies = [false; REGISTERS];
    let mut reach = 0;
    for one in body {
        let (to, from) = (usize::from(one.dst_reg()), one.src_reg());
        let is_memory = matches!(one.code & 7, 1..=3);
        if is_memory && (from == FRAME || one.dst_reg() == FRAME) {
            reach = reach.max(-i32::from(one.off));
        } else if one.code == ADD && copies[to] {
            reach = reach.max(-one.imm);
        }
        copies[to] = one.code == MOVE && from == FRAME;
    }
    reach.max(0) as u32
}
