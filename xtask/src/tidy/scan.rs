//! Tells Rust's code from its comments and strings, so that a rule about code is not broken by a sentence about
//! it. Not a parser: it only finds where comments, strings and character literals begin and end.

/// The source with comments blanked out, and the insides of strings too if asked for. Lines stay lines.
pub fn code(source: &str, keep_strings: bool) -> String {
    let mut rest = source;
    let mut out = String::with_capacity(source.len());
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let (len, kind) = token(rest, before);
        let (piece, tail) = rest.split_at(len);
        match kind {
            Kind::Code => out.push_str(piece),
            Kind::String if keep_strings => out.push_str(piece),
            Kind::String => blank(piece, '"', &mut out),
            Kind::Comment => blank(piece, ' ', &mut out),
        }
        before = if kind == Kind::Code { c } else { ' ' };
        rest = tail;
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    String,
    Comment,
}

/// The length and kind of what a text begins with; for code that is one character.
fn token(rest: &str, before: char) -> (usize, Kind) {
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), Kind::Comment);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), Kind::Comment);
    }
    if let Some(inside) = rest.strip_prefix('"') {
        return (1 + closed_by(inside, '"'), Kind::String);
    }
    let in_word = before.is_alphanumeric() || before == '_';
    if let Some(len) = raw_string(rest).filter(|_| !in_word) {
        return (len, Kind::String);
    }
    if let Some(len) = character(rest) {
        return (len, Kind::String);
    }
    (rest.chars().next().map_or(0, char::len_utf8), Kind::Code)
}

/// The length up to and with the closing quote; a backslash hides what follows it.
fn closed_by(inside: &str, quote: char) -> usize {
    let mut hidden = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if hidden => hidden = false,
            '\\' => hidden = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    inside.len()
}

/// The length of a block comment; they nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The length of `r"…"`, `r#"…"#`, `br"…"` or `cr"…"`, if the text begins with one.
fn raw_string(rest: &str) -> Option<usize> {
    let start = ["r", "br", "cr"].into_iter().find_map(|mark| {
        let hashes = rest.strip_prefix(mark)?;
        hashes.trim_start_matches('#').starts_with('"').then_some(mark.len())
    })?;
    let hashes = rest[start..].len() - rest[start..].trim_start_matches('#').len();
    let inside = start + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(rest[inside..].find(&end).map_or(rest.len(), |at| inside + at + end.len()))
}

/// The length of a character literal. A quote without a partner close by is a lifetime.
fn character(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    if inside.starts_with('\\') {
        return Some(1 + closed_by(inside, '\''));
    }
    let first = inside.chars().next()?.len_utf8();
    inside[first..].starts_with('\'').then_some(1 + first + 1)
}

fn blank(piece: &str, edge: char, out: &mut String) {
    out.push(edge);
    out.extend(piece.chars().skip(1).map(|c| if c == '\n' { '\n' } else { ' ' }));
}

/// Whether a line of code has a word on its own, not as a part of a longer name.
pub fn has_word(line: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(part_of_name) && !line[at + word.len()..].starts_with(part_of_name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(source: &str) -> String {
        code(source, false).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        assert_eq!(shape("a(); // unsafe\nb(); /* unsafe /* deeper */ still */ c();"), "a(); b(); c();");
        assert_eq!(shape(r#"f("unsafe \" unsafe", g);"#), "f(\" , g);");
        assert_eq!(shape("f(r#\"unsafe \" unsafe\"#, g);"), "f(\" , g);");
    }

    #[test]
    fn quotes_in_characters_and_lifetimes_open_nothing() {
        assert_eq!(shape("f('\"'); unsafe {}"), "f(\" ); unsafe {}");
        assert_eq!(shape(r"f('\''); unsafe {}"), "f(\" ); unsafe {}");
        assert_eq!(shape("fn f<'a>(x: &'a str) { unsafe {} }"), "fn f<'a>(x: &'a str) { unsafe {} }");
    }

    #[test]
    fn a_name_that_ends_in_r_opens_no_raw_string() {
        assert_eq!(shape("bar\"x\" unsafe"), "bar\" unsafe");
    }

    #[test]
    fn lines_stay_lines_and_strings_stay_on_request() {
        let source = "a\n/* b\nc */\n\"d\ne\"\nf";
        assert_eq!(code(source, false).lines().count(), source.lines().count());
        assert!(code(source, true).contains("\"d\ne\""));
        assert!(!code(source, true).contains('b'));
    }

    #[test]
    fn a_word_is_not_found_inside_a_longer_name() {
        assert!(has_word("unsafe { f() }", "unsafe"));
        assert!(has_word("#[unsafe(no_mangle)]", "unsafe"));
        assert!(!has_word("#![deny(unsafe_code)]", "unsafe"));
        assert!(!has_word("let not_unsafe = 1;", "unsafe"));
    }
}
