//! The little language of `publish`: takes it apart, and says what is wrong with its form. What its names stand
//! for is not known here.

use super::suggest;
use crate::lab::Protocol;
use crate::lab::diagnostic::Diagnostic;
use crate::lab::text::Piece;

const PROTOCOL_LAST: &str = "the protocol comes once, after all targets";
const FORM: &str = "the form is `[HOST_IP:]HOST_PORT[-END]:NODE[:PORT][,NODE[:PORT]…][/tcp|udp]`, such as \
                    `8000:earth:80/tcp`";

/// Most targets of one forward.
pub const TARGETS_MAX: usize = 16;

/// The parts of a `publish`, not yet understood.
pub struct Fields<'t> {
    pub address: Option<Piece<'t>>,
    pub ports: Piece<'t>,
    pub targets: Vec<TargetFields<'t>>,
}

/// One of its targets.
#[derive(Clone, Copy)]
pub struct TargetFields<'t> {
    pub whole: Piece<'t>,
    pub node: Piece<'t>,
    pub port: Option<Piece<'t>>,
}

/// Takes a `publish` apart; its protocol is cut off already.
pub fn fields(piece: Piece<'_>) -> Result<Fields<'_>, Diagnostic> {
    let problem = |at: Piece<'_>, label: &str| {
        Diagnostic::new(format!("`{}` is not a port forward", piece.text), at.span(), label).help(FORM)
    };
    let empty = piece.text.split([':', ',']).any(str::is_empty);
    let before_comma = piece.text.split(',').next().unwrap_or_default();
    if piece.text.starts_with('[') || (empty && before_comma.split(':').count() > 4) {
        let message = "netlab does not do IPv6 yet";
        return Err(Diagnostic::new(message, piece.span(), "an IPv6 address").help(FORM));
    }
    if empty {
        return Err(problem(piece, "a part of it is empty"));
    }
    // Only an address has dots: ports are numbers, and the nodes come after the ports.
    let (address, rest) = match piece.split_once(':') {
        Some((first, rest)) if first.text.contains('.') => (Some(first), rest),
        _ => (None, piece),
    };
    let Some((ports, targets)) = rest.split_once(':') else {
        return Err(problem(piece, "no node is named"));
    };
    if let Some((_, early)) = targets.split_once('/') {
        return Err(problem(early, PROTOCOL_LAST));
    }
    let mut fields = Fields { address, ports, targets: Vec::new() };
    for whole in targets.split(',') {
        let (node, port) = match whole.split(':')[..] {
            [node] => (node, None),
            [node, port] => (node, Some(port)),
            _ => return Err(problem(whole, "too many `:`")),
        };
        fields.targets.push(TargetFields { whole, node, port });
    }
    Ok(fields)
}

/// The transport's name.
pub fn protocol(name: Piece<'_>) -> Result<Protocol, Diagnostic> {
    match name.text {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        other => {
            let message = format!("`{other}` is not a protocol that can be forwarded");
            let label = if other.contains(',') { PROTOCOL_LAST } else { "must be `tcp` or `udp`" };
            let problem = Diagnostic::new(message, name.span(), label);
            Err(match suggest::nearest(other, ["tcp", "udp"]) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(FORM),
            })
        }
    }
}

/// The node's port for the first port of the host; the others follow in order.
pub fn first_target(
    written: Piece<'_>,
    ports: (u16, u16),
    piece: Piece<'_>,
    target: (u16, u16),
) -> Result<u16, Diagnostic> {
    let width = |(first, last): (u16, u16)| u32::from(last - first) + 1;
    let wanted = width(ports);
    if piece.text.contains('-') && width(target) != wanted {
        return Err(Diagnostic::new(
            format!("{wanted} ports of the host cannot lead to {} ports of the node", width(target)),
            piece.span(),
            format!("{} ports", width(target)),
        )
        .also(written.span(), format!("{wanted} ports"))
        .help(format!("give the first port alone: the others follow, so `{}` is enough", target.0)));
    }
    if u32::from(target.0) + wanted - 1 > u32::from(u16::MAX) {
        return Err(Diagnostic::new(
            "the port range runs past the last port of the node",
            piece.span(),
            format!("{wanted} ports from here end after 65535"),
        )
        .also(written.span(), format!("{wanted} ports"))
        .help(format!("start at {} or below", u32::from(u16::MAX) + 1 - wanted)));
    }
    Ok(target.0)
}
