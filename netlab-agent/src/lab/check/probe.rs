//! The `[[check]]`s: from where, what, and whether it must work.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::inventory::{About, Inventory};
use super::names::Names;
use super::suggest;
use crate::lab::diagnostic::{Diagnostic, Problems, Span};
use crate::lab::file::{CheckTable, File, ProbeKey};
use crate::lab::text::{Piece, Spanned, Text};
use crate::lab::{Check, Expect, Place, Probe, value};

/// What checks refer to.
pub struct Probes<'f> {
    pub inventory: &'f Inventory,
    pub names: Names<'f>,
    pub problems: &'f Problems,
}

impl Probes<'_> {
    /// The checked checks.
    pub fn all(&self, file: &File) -> Vec<Check> {
        file.checks.iter().filter_map(|table| self.check(table)).collect()
    }

    fn check(&self, table: &CheckTable) -> Option<Check> {
        let from = table.from.as_ref().and_then(|from| self.names.place(from));
        let expect = self.expect(table.expect.as_ref());
        let status = table.status.as_ref().map(|status| self.status(table, status));
        if let Some(name) = table.name.as_ref().filter(|name| name.value.trim().is_empty()) {
            let help = "leave `name` out and netlab words it";
            self.problems.push(Diagnostic::new("a check's name is empty", name.span.clone(), "").help(help));
        }
        let (probe, text) = self.probe(table, status.flatten())?;
        let (from, expect) = (from?, expect?);
        let name = match &table.name {
            Some(name) => name.value.clone(),
            None => default_name(self.names.of(from), &probe, text, expect),
        };
        Some(Check { name, from, probe, expect })
    }

    fn probe<'t>(&self, table: &'t CheckTable, status: Option<u16>) -> Option<(Probe, &'t str)> {
        let (key, _, text) = match &table.probes[..] {
            [only] => only,
            [] => {
                self.problems.push(
                    Diagnostic::new("the check says nothing to try", table.span.clone(), "tries nothing")
                        .help(
                            "add one of `ping = \"8.8.8.8\"`, `http = \"http://10.10.0.10:8000/\"` and \
                               `tcp = \"10.10.0.10:8000\"`",
                        ),
                );
                return None;
            }
            [first, second, ..] => {
                self.problems.push(
                    Diagnostic::new("a check tries one thing", second.1.clone(), "the second")
                        .also(first.1.clone(), "the first")
                        .help("write a `[[check]]` for each"),
                );
                return None;
            }
        };
        let text = text.as_ref()?;
        let probe = match key {
            ProbeKey::Ping => Probe::Ping(IpAddr::V4(self.host_part(text.piece())?)),
            ProbeKey::Tcp => self.tcp(text)?,
            ProbeKey::Http => Probe::Http { url: self.url(text)?, status: status.unwrap_or(200) },
        };
        Some((probe, &text.value))
    }

    /// An address, or a node's name for its first address.
    fn host_part(&self, piece: Piece<'_>) -> Option<Ipv4Addr> {
        if value::looks_like_address(piece.text) {
            return self.problems.note(value::address(piece));
        }
        if piece.text == super::names::HOST {
            let own = self.inventory.addresses(Place::Host).map(|net| net.value.addr().to_string());
            let own: Vec<String> = own.collect();
            let problem = Diagnostic::new(
                "the host has one address in each network: say which",
                piece.span(),
                "not an address",
            );
            self.problems.push(match own.is_empty() {
                true => problem.help("write the address"),
                false => problem.help(format!("it has {}", suggest::row(own.iter().map(String::as_str)))),
            });
            return None;
        }
        let node = self.names.node_named(piece)?;
        let address = self.inventory.first_address(node);
        if address.is_none() && self.inventory.complete(Place::Node(node), About::Addresses) {
            self.problems.push(
                Diagnostic::new(
                    format!("node `{}` has no address", self.names.of(Place::Node(node))),
                    piece.span(),
                    "nothing to reach it by",
                )
                .help("give one of its links an `address`"),
            );
        }
        address
    }

    fn tcp(&self, text: &Text) -> Option<Probe> {
        let Some((host, port)) = text.piece().rsplit_once(':').filter(|_| !is_bare_ipv6(&text.value)) else {
            let message = format!("`{}` is not an address and a port", text.value);
            let problem = if is_bare_ipv6(&text.value) {
                return self.host_part(text.piece()).and(None);
            } else {
                Diagnostic::new(message, text.span.clone(), "no port")
            };
            self.problems.push(problem.help("write it like `10.10.0.10:8000` or `earth:8000`"));
            return None;
        };
        let (host, port) = (self.host_part(host), self.problems.note(value::port(port)));
        Some(Probe::Tcp(SocketAddr::new(IpAddr::V4(host?), port?)))
    }

    /// The URL, with a node's name replaced by its address.
    fn url(&self, text: &Text) -> Option<String> {
        let piece = text.piece();
        let Some(rest) = piece.strip_prefix("http://") else {
            self.problems.push(not_http(text));
            return None;
        };
        let end = rest.text.find(['/', '?', '#']).unwrap_or(rest.text.len());
        let (authority, path) = rest.text.split_at(end);
        let authority = rest.head(authority.len());
        if authority.text.starts_with('[') {
            return self
                .host_part(authority.head(authority.text.find(']').map_or(authority.text.len(), |at| at + 1)))
                .and(None);
        }
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(self.problems.note(value::port(port)))),
            None => (authority, None),
        };
        if host.text.is_empty() || text.value.contains(|c: char| c.is_whitespace() || c.is_control()) {
            self.problems.push(not_http(text));
            return None;
        }
        // Names with a dot are left to DNS; a name without one is a node of the lab.
        let named =
            host.text == "localhost" || (host.text.contains('.') && !value::looks_like_address(host.text));
        let host = if named { host.text.to_owned() } else { self.host_part(host)?.to_string() };
        match port {
            Some(port) => Some(format!("http://{host}:{}{path}", port?)),
            None => Some(format!("http://{host}{path}")),
        }
    }

    fn status(&self, table: &CheckTable, status: &Spanned<i64>) -> Option<u16> {
        let http = table.probes.iter().any(|(key, ..)| *key == ProbeKey::Http);
        if let (false, Some((key, span, _))) = (http, table.probes.first()) {
            self.problems.push(
                Diagnostic::new(
                    format!("a `{}` check has no status", key.key()),
                    status.span.clone(),
                    "only `http` answers with one",
                )
                .also(span.clone(), format!("a `{}` check", key.key()))
                .help("drop `status`"),
            );
        }
        match u16::try_from(status.value) {
            Ok(code @ 100..=599) => Some(code),
            _ => {
                self.problems.push(
                    Diagnostic::new(
                        format!("{} is not an HTTP status", status.value),
                        status.span.clone(),
                        "must be from 100 to 599",
                    )
                    .help("200 means that all is well, 404 that there is no such page"),
                );
                None
            }
        }
    }

    fn expect(&self, text: Option<&Text>) -> Option<Expect> {
        let Some(text) = text else { return Some(Expect::Pass) };
        match text.value.as_str() {
            "pass" => Some(Expect::Pass),
            "fail" => Some(Expect::Fail),
            other => {
                let span: Span = text.span.clone();
                let message = format!("a check cannot be expected to `{other}`");
                let problem = Diagnostic::new(message, span, "must be `pass` or `fail`");
                self.problems.push(match suggest::nearest(other, ["pass", "fail"]) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem,
                });
                None
            }
        }
    }
}

fn is_bare_ipv6(text: &str) -> bool {
    text.parse::<std::net::Ipv6Addr>().is_ok()
}

fn not_http(text: &Text) -> Diagnostic {
    let problem = Diagnostic::new(
        format!("`{}` is not a URL that a check can fetch", text.value),
        text.span.clone(),
        if text.value.starts_with("https:") { "`https`" } else { "no `http://` and host" },
    );
    if text.value.starts_with("https:") {
        problem.help("labs have no certificates: only `http://` works")
    } else {
        problem.help("write it like `http://10.10.0.10:8000/` or `http://earth:8000/`")
    }
}

fn default_name(from: &str, probe: &Probe, text: &str, expect: Expect) -> String {
    let cannot = match expect {
        Expect::Pass => "can",
        Expect::Fail => "cannot",
    };
    match probe {
        Probe::Ping(_) => format!("{from} {cannot} ping {text}"),
        Probe::Http { status: 200, .. } => format!("{from} {cannot} fetch {text}"),
        Probe::Http { status, .. } => format!("{from} {cannot} get status {status} from {text}"),
        Probe::Tcp(_) => format!("{from} {cannot} connect to {text}"),
    }
}
