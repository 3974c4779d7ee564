//! Broken and mutated files: whatever they hold, they are read or refused, and never make netlab panic.

use super::PLANETS;
use crate::lab::diagnostic::Look;
use crate::lab::parse;

const RULES: &str = r#"
[flows]
size = 4096
pickup = true
timeouts = { udp = 30 }
[[masquerade]]
from = "planet-br"
to = "192.0.2.1-192.0.2.6"
ports = "1024-65535"
mapping = "endpoint-independent"
filtering = "address-dependent"
[[forward]]
publish = "192.168.0.108:8000-8010:earth:9000,neptune:9010-9020/udp"
allow = ["192.168.0.0/24", "8.8.8.8"]
[[check]]
from = "host"
http = "http://earth:8000/"
status = 404
expect = "fail"
[[check]]
from = "earth"
tcp = "neptune:80"
"#;

/// A small generator with a fixed start, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

fn swallow(text: &str) {
    if let Err(failure) = parse("lab.toml", text) {
        assert!(failure.to_string().contains("error: lab.toml "), "no last line for:\n{text}");
    }
}

#[test]
fn a_file_cut_off_anywhere_does_not_panic() {
    let text = format!("{PLANETS}{RULES}");
    for end in 0..text.len() {
        if text.is_char_boundary(end) {
            swallow(&text[..end]);
        }
    }
}

#[test]
fn random_changes_do_not_panic() {
    const BITS: &[&str] = &[
        "\"",
        "'",
        "\"\"\"",
        "\\u0000",
        "\\n",
        "[",
        "]",
        "[[",
        "{",
        "}",
        "=",
        ",",
        ".",
        ":",
        "/",
        "-",
        "#",
        "\n",
        "\r\n",
        "\t",
        "\u{1b}[31m",
        "é",
        "日本",
        "\u{feff}",
        "0",
        "65536",
        "-1",
        "1e9",
        "true",
        "::1",
        "10.10.0.1/16",
        "host",
        "lo",
        "node",
        "links",
        "99999999999999999999",
        "1979-05-27",
        "%d",
        "\u{200f}",
    ];
    let base: Vec<char> = format!("{PLANETS}{RULES}").chars().collect();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..3000 {
        let mut text = base.clone();
        for _ in 0..=dice.roll(4) {
            let at = dice.roll(text.len());
            let end = (at + dice.roll(12)).min(text.len());
            let bit = BITS[dice.roll(BITS.len())].chars();
            match dice.roll(3) {
                0 => drop(text.drain(at..end)),
                1 => drop(text.splice(at..at, bit)),
                _ => drop(text.splice(at..end, bit)),
            }
        }
        swallow(&text.into_iter().collect::<String>());
    }
}

#[test]
fn random_values_inside_strings_do_not_panic() {
    const ALPHABET: &[u8] = b"0123456789.:/-[]abcehlnorst% \\u00e9";
    let base = format!("{PLANETS}{RULES}");
    let quotes: Vec<usize> = base.match_indices('"').map(|(at, _)| at).collect();
    let mut dice = Dice(42);
    for _ in 0..3000 {
        let pair = dice.roll(quotes.len() / 2) * 2;
        let length = dice.roll(24);
        let value: String = (0..length).map(|_| char::from(ALPHABET[dice.roll(ALPHABET.len())])).collect();
        swallow(&format!("{}{value}{}", &base[..=quotes[pair]], &base[quotes[pair + 1]..]));
    }
}

#[test]
fn escape_sequences_of_a_file_do_not_reach_the_terminal() {
    let text = "version = 1\nname = \"x\"\n[node.\"\\u001b[31mred\"]\n[[check]]\nfrom = \"\\u001b[32mgreen\"\nping = \"1.1.1.1\"\n";
    let shown = super::report(text);
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn colours_come_only_when_asked_for() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("lab.toml");
    std::fs::write(&path, "version = 7\n").expect("the folder can be written");
    let show = |look| crate::lab::load_for(&path, look).expect_err("the version is wrong").to_string();
    assert!(!show(Look::Plain).contains('\u{1b}'));
    assert!(show(Look::Colour).contains('\u{1b}'));
}
