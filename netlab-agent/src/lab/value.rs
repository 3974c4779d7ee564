//! The small languages inside the lab file's strings: addresses, networks, ports, hardware addresses and
//! names. Each parser gives the value, or a mistake that points at the very characters.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use super::Mac;
use super::diagnostic::Diagnostic;
use super::text::Piece;

type Parsed<T> = Result<T, Diagnostic>;

/// Whether the text is meant as an address or prefix, right or wrong, and not as a name.
pub fn looks_like_address(text: &str) -> bool {
    let digits = text.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '/');
    (digits && text.contains(['.', '/'])) || is_ipv6(text)
}

fn is_ipv6(text: &str) -> bool {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<Ipv6Addr>().is_ok() || bare.parse::<Ipv6Net>().is_ok()
}

/// An address without prefix length: a next hop, the target of a check.
pub fn address(piece: Piece<'_>) -> Parsed<Ipv4Addr> {
    if let Ok(address) = piece.text.parse() {
        return Ok(address);
    }
    if let Some((bare, _)) = piece.split_once('/')
        && bare.text.parse::<Ipv4Addr>().is_ok()
    {
        return Err(Diagnostic::new(
            format!("`{}` has a prefix length, but one plain address is wanted", piece.text),
            piece.span(),
            "an address with a prefix length",
        )
        .help(format!("write `{}`", bare.text)));
    }
    Err(not_an_address(piece, piece))
}

/// An interface's address with its prefix length.
pub fn interface_address(piece: Piece<'_>) -> Parsed<Ipv4Net> {
    let Some((bare, length)) = piece.split_once('/') else {
        if piece.text.parse::<Ipv4Addr>().is_ok() {
            return Err(Diagnostic::new(
                format!("the address `{}` has no prefix length", piece.text),
                piece.span(),
                "`/` and a length are missing",
            )
            .help(format!(
                "write `{0}/24` if the first three numbers name the network, `{0}/16` for two, `{0}/32` for \
                 an address on its own",
                piece.text
            )));
        }
        return Err(not_an_address(piece, piece));
    };
    let address = bare.text.parse::<Ipv4Addr>().map_err(|_| not_an_address(bare, piece))?;
    let net = Ipv4Net::new(address, prefix_length(length)?).map_err(|_| bad_length(length))?;
    usable_on_an_interface(piece, net)
}

fn usable_on_an_interface(piece: Piece<'_>, net: Ipv4Net) -> Parsed<Ipv4Net> {
    let address = net.addr();
    let refuse = |why: &str, help: String| {
        Err(Diagnostic::new(
            format!("`{}` cannot be the address of an interface", piece.text),
            piece.span(),
            why.to_owned(),
        )
        .help(help))
    };
    let inside = || format!("take one between, such as `{}/{}`", example_host(net), net.prefix_len());
    if address.is_multicast() {
        return refuse("a multicast address", "take an address below 224.0.0.0".to_owned());
    }
    if address.is_unspecified() || address.is_broadcast() {
        return refuse("this address stands for no single machine", "take an ordinary address".to_owned());
    }
    // A /31 is a cable with two ends and a /32 one address alone: neither has a network or broadcast address.
    if net.prefix_len() <= 30 && address == net.network() {
        return refuse("the network's own address", inside());
    }
    if net.prefix_len() <= 30 && address == net.broadcast() {
        return refuse("the network's broadcast address", inside());
    }
    Ok(net)
}

fn example_host(net: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(net.network()).saturating_add(1))
}

/// A network: a prefix, or one address, which is a prefix of 32 bits.
pub fn network(piece: Piece<'_>) -> Parsed<Ipv4Net> {
    let (bare, length) = match piece.split_once('/') {
        Some((bare, length)) => (bare, Some(length)),
        None => (piece, None),
    };
    let address = bare.text.parse::<Ipv4Addr>().map_err(|_| not_an_address(bare, piece))?;
    let length = length.map_or(Ok(32), prefix_length)?;
    let net = Ipv4Net::new(address, length).map_err(|_| bad_length(piece))?;
    if net.trunc() == net {
        return Ok(net);
    }
    Err(Diagnostic::new(
        format!("`{}` is an address inside a network, not a network", piece.text),
        piece.span(),
        format!("bits after the first {length} are set"),
    )
    .help(format!("the network is `{}`; the address alone is `{address}`", net.trunc())))
}

/// Most addresses of a pool: a /16 is more than any lab's world has.
const POOL_MAX: u32 = 65536;

/// A pool of addresses to hide behind, as its first and last: one address, two with `-` between them, or a
/// prefix, all of whose addresses are meant.
pub fn pool(piece: Piece<'_>) -> Parsed<(Ipv4Addr, Ipv4Addr)> {
    let (first, last) = if let Some((first, last)) = piece.split_once('-') {
        let (first, last) = (address(first)?, address(last)?);
        if first > last {
            return Err(Diagnostic::new(
                format!("the range of addresses `{}` is the wrong way round", piece.text),
                piece.span(),
                "the first address is above the last",
            )
            .help(format!("write `{last}-{first}`")));
        }
        (first, last)
    } else {
        let net = network(piece)?;
        (net.network(), net.broadcast())
    };
    let odd = |address: Ipv4Addr| matches!(address.octets()[0], 0 | 127 | 224..);
    // Of these blocks, only 127.0.0.0/8 can lie between two good ends.
    let around_loopback = first < Ipv4Addr::LOCALHOST && last > Ipv4Addr::LOCALHOST;
    if odd(first) || odd(last) || around_loopback {
        let message = format!("nobody can be hidden behind `{}`", piece.text);
        let label = "has addresses that stand for no single machine";
        return Err(Diagnostic::new(message, piece.span(), label)
            .help("take addresses between 1.0.0.0 and 223.255.255.255, and not from 127.0.0.0/8"));
    }
    let above_first = u32::from(last) - u32::from(first);
    if above_first >= POOL_MAX {
        return Err(Diagnostic::new(
            format!("a pool of {} addresses is too large", u64::from(above_first) + 1),
            piece.span(),
            format!("at most {POOL_MAX} are possible"),
        )
        .help("a /16 is the largest prefix"));
    }
    Ok((first, last))
}

fn prefix_length(piece: Piece<'_>) -> Parsed<u8> {
    match piece.text.parse::<u8>() {
        Ok(length) if length <= 32 => Ok(length),
        _ => Err(bad_length(piece)),
    }
}

fn bad_length(piece: Piece<'_>) -> Diagnostic {
    Diagnostic::new(
        format!("`{}` is not a prefix length", piece.text),
        piece.span(),
        "must be a number from 0 to 32",
    )
    .help("`/24` means that the first 24 of the 32 bits name the network")
}

/// Says what is wrong with `piece`, which should have been an IPv4 address and stands in `whole`.
fn not_an_address(piece: Piece<'_>, whole: Piece<'_>) -> Diagnostic {
    if is_ipv6(piece.text) || is_ipv6(whole.text) {
        return ipv6(whole);
    }
    let parts = piece.split('.');
    if parts.len() == 4 {
        let wrong = parts.iter().find(|part| part.text.parse::<u8>().is_err() || has_leading_zero(part.text));
        if let Some(part) = wrong.filter(|part| !part.text.is_empty()) {
            let label = if has_leading_zero(part.text) { "starts with a zero" } else { "not from 0 to 255" };
            return Diagnostic::new(format!("`{}` is not an IPv4 address", piece.text), part.span(), label)
                .help("an IPv4 address is four numbers from 0 to 255, such as `10.10.0.10`");
        }
    }
    Diagnostic::new(format!("`{}` is not an IPv4 address", piece.text), piece.span(), "")
        .help("an IPv4 address is four numbers from 0 to 255, such as `10.10.0.10`")
}

fn has_leading_zero(text: &str) -> bool {
    text.len() > 1 && text.starts_with('0')
}

fn ipv6(piece: Piece<'_>) -> Diagnostic {
    Diagnostic::new("netlab does not do IPv6 yet", piece.span(), "an IPv6 address")
        .help("use an IPv4 address; IPv6 in lab files will come with a later version")
}

/// A port number.
pub fn port(piece: Piece<'_>) -> Parsed<u16> {
    match piece.text.parse::<u16>() {
        Ok(port) if port > 0 && !piece.text.starts_with('+') => return Ok(port),
        _ => {}
    }
    let number = !piece.text.is_empty() && piece.text.chars().all(|c| c.is_ascii_digit());
    let message = if number {
        format!("port {} does not exist", piece.text)
    } else {
        format!("`{}` is not a port", piece.text)
    };
    Err(Diagnostic::new(message, piece.span(), "not from 1 to 65535")
        .help("write the port as a number from 1 to 65535"))
}

/// One port, or the first and last of a range.
pub fn ports(piece: Piece<'_>) -> Parsed<(u16, u16)> {
    let Some((first, last)) = piece.split_once('-') else {
        let port = port(piece)?;
        return Ok((port, port));
    };
    let (low, high) = (port(first)?, port(last)?);
    if low > high {
        return Err(Diagnostic::new(
            format!("the port range `{}` is the wrong way round", piece.text),
            piece.span(),
            "the first port is above the last",
        )
        .help(format!("write `{high}-{low}`")));
    }
    Ok((low, high))
}

/// A hardware address that an interface may have.
pub fn mac(piece: Piece<'_>) -> Parsed<Mac> {
    let parts: Vec<_> = piece.text.split(':').collect();
    let byte = |part: &&str| {
        let hex = part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit());
        if hex { u8::from_str_radix(part, 16).ok() } else { None }
    };
    let bytes: Option<Vec<u8>> = parts.iter().map(byte).collect();
    let bytes: Option<[u8; 6]> = bytes.and_then(|bytes| bytes.try_into().ok());
    let refuse = |label: &str| {
        Diagnostic::new(
            format!("`{}` is not a hardware address for an interface", piece.text),
            piece.span(),
            label.to_owned(),
        )
    };
    match bytes {
        None => Err(refuse("not six pairs of hexadecimal digits").help("write it like `02:00:00:00:00:01`")),
        Some([0, 0, 0, 0, 0, 0]) => {
            Err(refuse("all zero").help("start your own addresses with `02:`, which marks them as made up"))
        }
        Some(bytes) if bytes[0] & 1 == 1 => Err(refuse("a group address: its first byte is odd")
            .help("start your own addresses with `02:`, which marks them as made up")),
        Some(bytes) => Ok(Mac(bytes)),
    }
}

/// Longest interface name the kernel takes.
pub const INTERFACE_NAME_MAX: usize = 15;

/// A name the kernel takes for an interface.
pub fn interface_name(piece: Piece<'_>) -> Parsed<String> {
    let name = piece.text;
    // `%` starts a pattern such as `eth%d` that the kernel fills in.
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':' | '%');
    let label = if name.is_empty() {
        "empty".to_owned()
    } else if name.len() > INTERFACE_NAME_MAX {
        format!("{} bytes long; the kernel takes {INTERFACE_NAME_MAX}", name.len())
    } else if matches!(name, "." | ".." | "all" | "default") {
        "the kernel keeps this name for itself".to_owned()
    } else if let Some(c) = name.chars().find(|c| odd(*c)) {
        format!("has {c:?} in it")
    } else {
        return Ok(name.to_owned());
    };
    let help = if name.len() > INTERFACE_NAME_MAX {
        let cut = &name[..name.floor_char_boundary(INTERFACE_NAME_MAX)];
        format!("shorten it, for example to `{cut}`")
    } else {
        "use letters, digits, `-`, `_` and `.`, such as `eth0`".to_owned()
    };
    Err(Diagnostic::new(format!("`{name}` cannot be the name of an interface"), piece.span(), label)
        .help(help))
}

/// A name that can be a file under `/run/netns` and a word in `publish`.
pub fn namespace_name(what: &str, piece: Piece<'_>, dots: bool, longest: usize) -> Parsed<String> {
    let name = piece.text;
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || (dots && c == '.');
    let characters = if dots { "letters, digits, `-`, `_` and `.`" } else { "letters, digits, `-` and `_`" };
    let label = if name.is_empty() {
        "empty".to_owned()
    } else if name.len() > longest {
        format!("{} bytes long; at most {longest} are allowed", name.len())
    } else if let Some(c) = name.chars().find(|c| !allowed(*c)) {
        format!("has {c:?} in it")
    } else if name.starts_with(['-', '.']) {
        format!("starts with `{}`", &name[..1])
    } else if looks_like_address(name) {
        "looks like an address".to_owned()
    } else {
        return Ok(name.to_owned());
    };
    Err(Diagnostic::new(format!("`{name}` cannot be the name of {what}"), piece.span(), label)
        .help(format!("use {characters}, and start with a letter or digit: files are named after it")))
}
