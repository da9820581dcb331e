//! Which system calls a container may make, as the kernel reads it.
//!
//! Rules become a filter once, in the server: that takes `libseccomp` tens of milliseconds, as long as all else that
//! makes a container. The runtime would do it for each, so its bundle says nothing of system calls. The container's first
//! process puts the filter on itself, where the runtime would have: all is made, and nothing of the image has run.

use std::io;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall,
};
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator, LinuxSyscall,
};
use rustix::fs::{MemfdFlags, memfd_create};
use seccompiler::sock_filter as Instruction;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One instruction, as the kernel lays it out.
const SIZE: usize = 8;
/// As many as the kernel takes (`BPF_MAXINSNS`).
const MOST: usize = 4096;

/// Whose calls this machine's kernel takes. What is for others would be compiled for nobody.
const NATIVE: &[Arch] = if cfg!(target_arch = "x86_64") {
    &[Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32]
} else {
    &[Arch::ScmpArchAarch64, Arch::ScmpArchArm]
};

/// A compiled filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Filter(Vec<Instruction>);

impl Filter {
    /// Of a profile in the words of the OCI runtime specification. Calls that `libseccomp` does not know are
    /// left to the profile's default.
    ///
    /// # Errors
    /// When it is none, or says what no profile of ours says.
    pub fn compile(profile: &Value) -> io::Result<Self> {
        let profile: LinuxSeccomp = serde_json::from_value(profile.clone())?;
        let otherwise = action(profile.default_action(), profile.default_errno_ret())?;
        let mut context = ScmpFilterContext::new(otherwise).map_err(io::Error::other)?;
        for arch in profile.architectures().iter().flatten() {
            let known = architecture(*arch)?;
            if NATIVE.contains(arch) {
                context.add_arch(known).map_err(io::Error::other)?;
            }
        }
        for rule in profile.syscalls().iter().flatten() {
            add(&mut context, rule)?;
        }
        let file = memfd_create("seccomp", MemfdFlags::CLOEXEC)?;
        context.export_bpf(&file).map_err(io::Error::other)?;
        let mut bytes = Vec::new();
        let mut file = std::fs::File::from(file);
        io::Seek::rewind(&mut file)?;
        io::Read::read_to_end(&mut file, &mut bytes)?;
        Self::of_bytes(&bytes)
    }

    /// Puts it on this process, and on all that it starts from now on; none of them can take it off.
    ///
    /// # Errors
    /// When the kernel does not take it.
    pub(super) fn put_on(&self) -> io::Result<()> {
        seccompiler::apply_filter(&self.0).map_err(io::Error::other)
    }

    fn of_bytes(bytes: &[u8]) -> io::Result<Self> {
        let (instructions, rest) = bytes.as_chunks::<SIZE>();
        if instructions.is_empty() || instructions.len() > MOST || !rest.is_empty() {
            return Err(invalid(format!("{} bytes are no filter", bytes.len())));
        }
        let read = |[a, b, jt, jf, k @ ..]: [u8; SIZE]| Instruction {
            code: u16::from_ne_bytes([a, b]),
            jt,
            jf,
            k: u32::from_ne_bytes(k),
        };
        Ok(Self(instructions.iter().copied().map(read).collect()))
    }
}

impl From<Filter> for String {
    fn from(filter: Filter) -> Self {
        let written = |Instruction { code, jt, jf, k }: Instruction| {
            let ([a, b], [c, d, e, f]) = (code.to_ne_bytes(), k.to_ne_bytes());
            [a, b, jt, jf, c, d, e, f]
        };
        BASE64_STANDARD.encode(filter.0.into_iter().flat_map(written).collect::<Vec<u8>>())
    }
}

impl TryFrom<String> for Filter {
    type Error = io::Error;

    fn try_from(text: String) -> io::Result<Self> {
        Self::of_bytes(&BASE64_STANDARD.decode(text).map_err(io::Error::other)?)
    }
}

fn add(context: &mut ScmpFilterContext, rule: &LinuxSyscall) -> io::Result<()> {
    let then = action(rule.action(), rule.errno_ret())?;
    let conditions = rule.args().iter().flatten().map(condition);
    let conditions = conditions.collect::<io::Result<Vec<_>>>()?;
    for name in rule.names() {
        // One that it does not know it can not deny either but by the default.
        let Ok(call) = ScmpSyscall::from_name(name) else { continue };
        let added = context.add_rule_conditional(then, call, &conditions);
        added.map_err(|error| invalid(format!("the rule for {name}: {error}")))?;
    }
    Ok(())
}

fn condition(arg: &LinuxSeccompArg) -> io::Result<ScmpArgCompare> {
    let index = u32::try_from(arg.index()).map_err(io::Error::other)?;
    let compare = |how, with| Ok(ScmpArgCompare::new(index, how, with));
    let value = arg.value();
    match arg.op() {
        // `value` is the mask: <https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp>.
        LinuxSeccompOperator::ScmpCmpMaskedEq => {
            compare(ScmpCompareOp::MaskedEqual(value), arg.value_two().unwrap_or_default())
        }
        LinuxSeccompOperator::ScmpCmpEq => compare(ScmpCompareOp::Equal, value),
        LinuxSeccompOperator::ScmpCmpLt => compare(ScmpCompareOp::Less, value),
        other => Err(invalid(format!("no profile compares by {other:?}"))),
    }
}

fn action(action: LinuxSeccompAction, errno: Option<u32>) -> io::Result<ScmpAction> {
    match (action, errno) {
        (LinuxSeccompAction::ScmpActAllow, _) => Ok(ScmpAction::Allow),
        (LinuxSeccompAction::ScmpActErrno, Some(errno)) => {
            Ok(ScmpAction::Errno(i32::try_from(errno).map_err(io::Error::other)?))
        }
        (other, _) => Err(invalid(format!("no profile answers with {other:?}"))),
    }
}

fn architecture(arch: Arch) -> io::Result<ScmpArch> {
    match arch {
        Arch::ScmpArchX86_64 => Ok(ScmpArch::X8664),
        Arch::ScmpArchX86 => Ok(ScmpArch::X86),
        Arch::ScmpArchX32 => Ok(ScmpArch::X32),
        Arch::ScmpArchAarch64 => Ok(ScmpArch::Aarch64),
        Arch::ScmpArchArm => Ok(ScmpArch::Arm),
        other => Err(invalid(format!("no profile is for {other:?}"))),
    }
}

fn invalid(words: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, words)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn profile(rule: &Value) -> Value {
        json!({
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
            "syscalls": [{ "names": ["read", "no_such_call"], "action": "SCMP_ACT_ALLOW" }, rule],
        })
    }

    #[test]
    fn a_filter_is_the_same_after_it_was_written_down() {
        let masked = json!({
            "names": ["clone"], "action": "SCMP_ACT_ALLOW",
            "args": [{ "index": 0, "value": 0x7e02_0000_u32, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" }],
        });
        let filter = Filter::compile(&profile(&masked)).unwrap();
        // The mask of the one comparison is in it, so it was taken for the mask.
        assert!(filter.0.iter().any(|instruction| instruction.k == 0x7e02_0000), "{filter:?}");
        let written = serde_json::to_string(&filter).unwrap();
        assert_eq!(serde_json::from_str::<Filter>(&written).unwrap(), filter);
    }

    #[test]
    fn what_is_no_filter_is_refused_before_anything_runs_by_it() {
        for written in ["\"\"", "\"AAAA\"", "\"?\"", "{}"] {
            assert!(serde_json::from_str::<Filter>(written).is_err(), "{written}");
        }
        let long = BASE64_STANDARD.encode(vec![0; SIZE * (MOST + 1)]);
        assert!(Filter::try_from(long).is_err());
        let log = json!({ "names": ["write"], "action": "SCMP_ACT_LOG" });
        let words = Filter::compile(&profile(&log)).unwrap_err().to_string();
        assert!(words.contains("ScmpActLog"), "{words}");
        assert!(Filter::compile(&json!({ "syscalls": [] })).is_err());
    }
}
