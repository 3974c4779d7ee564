//! The programs that netlab is compared with: their rules are loaded by themselves, in the namespace that plays the
//! host. The only place where netlab starts them (`cargo xtask tidy` knows it), and nothing but the bench's own
//! namespaces ever sees their rules.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket, sockopt,
};

use super::error::{BenchError, Result};
use super::text;
use super::variant::Rival;
use crate::netns::Namespace;

/// Puts a rival's rules into the namespace, in place of those it has there.
///
/// # Errors
/// When it cannot be started, or refuses the rules.
pub fn load(host: &Namespace, rival: Rival, script: &str) -> Result<()> {
    match rival {
        Rival::Iptables => feed(host, "iptables-restore", &[], script),
        Rival::NftRule | Rival::NftMap => feed(host, "nft", &["-f", "-"], script),
    }
}

/// A rival's rules, with so many forwards, as [`load`] gives them to it.
pub fn script(rival: Rival, forwards: u32) -> String {
    let rules = text::rules(rival, forwards);
    match rival {
        Rival::Iptables => rules,
        Rival::NftRule | Rival::NftMap => format!("add table ip nat\ndelete table ip nat\n{rules}"),
    }
}

/// Takes a rival's rules away.
///
/// # Errors
/// When it cannot be started.
pub fn clear(host: &Namespace, rival: Rival) -> Result<()> {
    match rival {
        Rival::Iptables => feed(host, "iptables-restore", &[], "*nat\nCOMMIT\n"),
        Rival::NftRule | Rival::NftMap => {
            feed(host, "nft", &["-f", "-"], "add table ip nat\ndelete table ip nat\n")
        }
    }
}

/// What a rival says of its version; empty if it cannot be asked.
pub fn version(program: &str) -> String {
    let asked = match program {
        "nft" => Command::new("nft").arg("--version").output(),
        _ => Command::new("iptables").arg("--version").output(),
    };
    let text = asked.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

fn feed(host: &Namespace, program: &'static str, arguments: &[&str], input: &str) -> Result<()> {
    let run = || -> io::Result<Option<String>> {
        let mut command = Command::new(program);
        // Ctrl-C is the bench's to answer.
        command.process_group(0);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read to its end has said why.
            let _ = stdin.write_all(input.as_bytes());
        }
        let mut said = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            stderr.read_to_string(&mut said)?;
        }
        Ok((!child.wait()?.success()).then_some(said))
    };
    // The child is in the namespace that its thread is in.
    match host.enter(run)? {
        Ok(None) => Ok(()),
        Ok(Some(said)) => {
            let said = said.lines().next().unwrap_or("it did not say why").to_owned();
            Err(BenchError::Rival { program, said })
        }
        Err(error) => Err(BenchError::Rival { program, said: error.to_string() }),
    }
}

/// Ends all of the kernel's own connections in the namespace, by one message of its netlink protocol.
///
/// # Errors
/// When the kernel refuses it.
pub fn flush(host: &Namespace) -> Result<()> {
    let failed = |error: nix::Error| BenchError::system("flush the kernel's connections")(error.into());
    host.enter(|| -> nix::Result<()> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkNetFilter,
        )?;
        let patience = Duration::from_secs(10);
        setsockopt(
            &socket,
            sockopt::ReceiveTimeout,
            &nix::sys::time::TimeVal::new(patience.as_secs() as i64, 0),
        )?;
        // A header of sixteen bytes and the subsystem's of four, all zero but length, type and flags: without
        // attributes IPCTNL_MSG_CT_DELETE means all.
        let mut message = [0u8; 20];
        message[0] = 20;
        message[4] = 2;
        message[5] = 1;
        message[6] = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u8;
        let descriptor = socket.as_fd().as_raw_fd();
        send(descriptor, &message, MsgFlags::empty())?;
        let mut answer = [0u8; 64];
        let length = recv(descriptor, &mut answer, MsgFlags::empty())?;
        let code = match answer.get(16..20) {
            Some(bytes) if length >= 20 => i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            _ => 0,
        };
        if code == 0 { Ok(()) } else { Err(nix::Error::from_raw(-code)) }
    })?
    .map_err(failed)
}
