//! Which running lab a command means, and what it was made from.

use std::fs;

use crate::error::{Failure, Kind, Result};
use crate::lab::{Lab, Place};
use crate::topology::folder::{LabDir, write_whole};

/// A lab that is up.
pub struct Running {
    /// Its state folder.
    pub dir: LabDir,
    /// The lab as it was checked when it came up.
    pub lab: Lab,
}

/// The lab of this name, or the only one.
pub fn find(name: Option<&str>) -> Result<Running> {
    let dir = find_dir(name)?;
    let path = dir.path().join("lab.json");
    let text = fs::read_to_string(&path).map_err(|error| {
        let what = if error.kind() == std::io::ErrorKind::NotFound {
            format!("lab {} is being brought up, or was left half-made", dir.name())
        } else {
            format!("{} cannot be read: {error}", path.display())
        };
        Failure::new(Kind::Failed, what)
            .hint(format!("if no `netlab up` is at work, clear it away with `netlab down -l {}`", dir.name()))
    })?;
    let lab = serde_json::from_str(&text).map_err(|error| {
        // A lab of another version says so best by its maps.
        if let Err(error @ crate::datapath::Error::OtherAbi { .. }) = crate::datapath::bpffs::look(dir.name())
        {
            return error.into();
        }
        Failure::new(Kind::Failed, format!("{} is not readable: {error}", path.display()))
            .hint("the lab was brought up by another version of netlab: take it down and up again")
    })?;
    Ok(Running { dir, lab })
}

/// The state folder of the lab of this name, or of the only one.
pub fn find_dir(name: Option<&str>) -> Result<LabDir> {
    let labs = LabDir::list();
    let names: Vec<&str> = labs.iter().map(LabDir::name).collect();
    let Some(name) = name else {
        return match labs.as_slice() {
            [only] => Ok(only.clone()),
            [] => {
                Err(Failure::new(Kind::Missing, "no lab is running")
                    .hint("bring one up with `netlab up FILE`"))
            }
            _ => Err(Failure::new(
                Kind::Usage,
                format!("{} labs are running: {}", names.len(), names.join(", ")),
            )
            .hint("say which one with `-l NAME`")),
        };
    };
    let dir = LabDir::new(name);
    // A folder without a journal is what an `up` leaves that was killed at its very beginning.
    let is_a_name = !name.is_empty() && !name.contains('/') && !name.starts_with('.');
    if is_a_name && (labs.contains(&dir) || dir.path().is_dir()) {
        return Ok(dir);
    }
    let failure = Failure::new(Kind::Missing, format!("there is no running lab {name}"));
    Err(if names.is_empty() {
        failure.hint("no lab is running; bring one up with `netlab up FILE`")
    } else {
        failure.hint(format!("running: {}", names.join(", ")))
    })
}

/// Keeps what other commands need to know of a lab.
pub fn remember(dir: &LabDir, lab: &Lab, text: &str) -> Result<()> {
    write_whole(&dir.lab_file(), text.as_bytes())?;
    update(dir, lab)
}

/// Keeps what a running lab has become.
pub fn update(dir: &LabDir, lab: &Lab) -> Result<()> {
    let json = serde_json::to_vec_pretty(lab)
        .map_err(|error| Failure::new(Kind::Failed, format!("the lab cannot be written down: {error}")))?;
    Ok(write_whole(&dir.path().join("lab.json"), &json)?)
}

/// The node of this name, or the host.
pub fn place(lab: &Lab, name: &str) -> Result<Place> {
    if name == "host" {
        return Ok(Place::Host);
    }
    if let Some(index) = lab.nodes.iter().position(|node| node.name == name) {
        return Ok(Place::Node(index));
    }
    let nodes: Vec<&str> = lab.nodes.iter().map(|node| node.name.as_str()).collect();
    Err(Failure::new(Kind::Missing, format!("lab {} has no node {name}", lab.name))
        .hint(format!("its nodes are {}, and `host`", nodes.join(", "))))
}
