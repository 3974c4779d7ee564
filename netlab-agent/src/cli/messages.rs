//! The programs' debug messages into the agent's log, where they were asked for.

use std::borrow::Cow;

use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};
use netlab_common::abi::hook::Hook;
use netlab_common::abi::verdict::Verdict;

use super::note;
use crate::datapath::{object, programs};
use crate::error::{Failure, Kind, Result};

/// A running lab's messages.
pub struct Messages(EbpfLogger<Notes>);

impl Messages {
    /// Opens them, if the programs were loaded to tell.
    pub fn open(lab: &str) -> Result<Option<Self>> {
        if !object::is_verbose() {
            return Ok(None);
        }
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(Kind::Failed, format!("the programs' messages cannot be read: {error}"))
                .hint(format!("bring the lab up without {}", object::LOG))
        };
        // All programs write into one buffer, so it is found by any of them.
        let program = programs::open(lab, programs::of(Hook::PortIn))?;
        let id = program.info().map_err(|error| failed(&error))?.id();
        let logger = EbpfLogger::init_from_id_with_logger(id, Notes).map_err(|error| failed(&error))?;
        Ok(Some(Messages(logger)))
    }

    /// Writes down what has come.
    pub fn show(&mut self) {
        self.0.flush();
    }
}

struct Notes;

impl Log for Notes {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        note(&named(&record.args().to_string()));
    }

    fn flush(&self) {}
}

/// A message with names in place of the numbers that the programs write.
fn named(message: &str) -> Cow<'_, str> {
    let mut words = message.split_whitespace();
    let mut number = |name: &str| -> Option<usize> {
        (words.next()? == name).then_some(())?;
        words.next()?.parse().ok()
    };
    let (Some(hook), Some(verdict), Some(answered)) = (number("hook"), number("verdict"), number("answered"))
    else {
        return message.into();
    };
    let (Some(hook), Some(verdict)) = (Hook::ALL.get(hook), Verdict::ALL.get(verdict)) else {
        return message.into();
    };
    let answered = if answered == 1 { ", answered with ICMP" } else { "" };
    format!("datapath: {}: {}{answered}", hook.name(), verdict.name()).into()
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn numbers_become_names() {
        assert_eq!(named("hook 3 verdict 1 answered 0"), "datapath: uplink_out: created");
        assert_eq!(
            named("hook 2 verdict 15 answered 1"),
            "datapath: uplink_in: ports_exhausted, answered with ICMP"
        );
        assert_eq!(named("something else"), "something else");
        assert_eq!(named("hook 9 verdict 15 answered 1"), "hook 9 verdict 15 answered 1");
    }
}
