//! `netlab exec` and `netlab shell`: become a command inside a node.

use std::ffi::OsString;

use super::note;
use super::running::{find, place};
use crate::error::{Failure, Kind, Result};
use crate::netns::Namespace;
use crate::topology::{self, inside};

/// Runs a command in a node; returns only if that fails.
pub fn exec(lab: Option<&str>, node: &str, command: &[OsString]) -> Result<u8> {
    // Failures of netlab's own have numbers of their own here, as with env(1) and timeout(1).
    let error = match open(lab, node) {
        Ok((namespace, hosts)) => inside::exec(&namespace, &hosts, command),
        Err(failure) => {
            note(&failure.to_string());
            return Ok(if failure.kind == Kind::Missing { Kind::Missing.exit_code() } else { 125 });
        }
    };
    let status = error.exit_status();
    note(&Failure::from(error).to_string());
    Ok(status)
}

/// Opens a shell in a node; returns only if that fails.
pub fn shell(lab: Option<&str>, node: &str) -> Result<u8> {
    let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    let mut command = vec![OsString::from("env"), format!("NETLAB_NODE={node}").into()];
    // bash's start-up files would set a prompt of their own; without them the node's name stays in view.
    if shell.to_string_lossy().ends_with("bash") {
        command.extend([format!("PS1={node}# ").into(), shell, "--norc".into()]);
    } else {
        command.extend([format!("PS1={node}# ").into(), shell]);
    }
    exec(lab, node, &command)
}

fn open(lab: Option<&str>, node: &str) -> Result<(Namespace, std::path::PathBuf)> {
    let running = find(lab)?;
    let place = place(&running.lab, node)?;
    let namespace = topology::open(&running.dir, running.lab.namespace(place))?;
    Ok((namespace, running.dir.hosts()))
}
