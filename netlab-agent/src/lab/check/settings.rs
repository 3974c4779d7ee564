//! The rest of what a stack is told: sysctls, commands to run, and what to wait for.

use super::suggest;
use crate::lab::diagnostic::{Diagnostic, Problems};
use crate::lab::file::NodeTable;
use crate::lab::text::{Spanned, Text};
use crate::lab::{Wait, value};

/// Checked sysctls. `forwarding` is the host's own key for one of them, which must not be set twice.
pub fn sysctls(
    entries: &[(Text, Text)],
    forwarding: Option<&Spanned<bool>>,
    problems: &Problems,
) -> Vec<(String, String)> {
    let mut checked: Vec<(String, String)> = Vec::new();
    for (name, value) in entries {
        if let Some(problem) = wrong_name(name).or_else(|| wrong_value(value)) {
            problems.push(problem);
            continue;
        }
        if checked.iter().any(|(other, _)| *other == name.value) {
            problems.push(
                Diagnostic::new(
                    format!("the sysctl `{}` is set twice", name.value),
                    name.span.clone(),
                    "again",
                )
                .help("keep one of them"),
            );
        }
        if let Some(forwarding) = forwarding.filter(|_| name.value == "net.ipv4.ip_forward") {
            problems.push(
                Diagnostic::new(
                    "`net.ipv4.ip_forward` is set twice",
                    name.span.clone(),
                    "the same setting as `forwarding`",
                )
                .also(forwarding.span.clone(), "also set here")
                .help("keep `forwarding` and drop the sysctl"),
            );
        }
        checked.push((name.value.clone(), value.value.clone()));
    }
    checked
}

fn wrong_name(name: &Text) -> Option<Diagnostic> {
    let problem = |label: &str, help: &str| {
        Some(
            Diagnostic::new(
                format!("`{}` is not a sysctl that a lab can set", name.value),
                name.span.clone(),
                label.to_owned(),
            )
            .help(help.to_owned()),
        )
    };
    let slash = name.value.contains('/');
    if slash || name.value.split('.').any(str::is_empty) {
        let written = "write it with single dots, such as `\"net.ipv4.ip_default_ttl\"`";
        return problem(if slash { "has a `/` in it" } else { "has an empty part" }, written);
    }
    if !name.value.starts_with("net.") {
        return problem("does not start with `net.`", "only `net.` settings belong to one namespace");
    }
    let odd = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if name.value.contains(odd) {
        return problem("has an unusual character in it", "use letters, digits, `_`, `-` and dots");
    }
    None
}

fn wrong_value(value: &Text) -> Option<Diagnostic> {
    let wrong = value.value.trim().is_empty() || value.value.contains(char::is_control);
    wrong.then(|| {
        Diagnostic::new(
            "a sysctl's value must be one line of text",
            value.span.clone(),
            "empty or not one line",
        )
    })
}

/// One of the words that a key takes; `None` if the file has none.
pub fn word<T: Copy>(text: Option<&Text>, key: &str, words: &[(&str, T)], problems: &Problems) -> Option<T> {
    let text = text?;
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
        return Some(*value);
    }
    let all = || words.iter().map(|(word, _)| *word);
    let problem =
        Diagnostic::new(format!("`{key}` cannot be `{}`", text.value), text.span.clone(), "no such word");
    problems.push(match suggest::nearest(&text.value, all()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help(format!("these are known: {}", suggest::row(all()))),
    });
    None
}

/// The commands of a node.
pub fn commands(node: &NodeTable, problems: &Problems) -> Vec<String> {
    for command in &node.run.items {
        let label = if command.value.trim().is_empty() {
            "empty"
        } else if command.value.contains('\0') {
            "has a NUL byte in it"
        } else {
            continue;
        };
        problems.push(
            Diagnostic::new("a `run` command must be a line for the shell", command.span.clone(), label)
                .help("leave out `run` if the node runs nothing"),
        );
    }
    node.run.items.iter().map(|command| command.value.clone()).collect()
}

/// The conditions that `up` waits for.
pub fn waits(node: &NodeTable, problems: &Problems) -> Vec<Wait> {
    let parse = |text: &Text| problems.note(wait(text));
    let waits = node.wait.items.iter().filter_map(parse).collect();
    if let (Some(key), None) = (&node.wait.key, &node.run.key)
        && node.sound
    {
        problems.push(
            Diagnostic::new(
                format!("node `{}` waits for a port but runs nothing", node.name.value),
                key.clone(),
                "would never come true",
            )
            .help("add `run` with the command that listens, or drop `wait`"),
        );
    }
    waits
}

fn wait(text: &Text) -> Result<Wait, Diagnostic> {
    let form = "write `tcp:8000` or `udp:53`: the port that something in the node listens on";
    let Some((protocol, port)) = text.piece().split_once(':') else {
        let message = format!("`{}` is nothing to wait for", text.value);
        return Err(Diagnostic::new(message, text.span.clone(), "no protocol and port").help(form));
    };
    match protocol.text {
        "tcp" => value::port(port).map(Wait::Tcp),
        "udp" => value::port(port).map(Wait::Udp),
        other => {
            let message = format!("`{other}` is not a protocol to wait for");
            let problem = Diagnostic::new(message, protocol.span(), "must be `tcp` or `udp`");
            Err(match suggest::nearest(other, ["tcp", "udp"]) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(form),
            })
        }
    }
}
