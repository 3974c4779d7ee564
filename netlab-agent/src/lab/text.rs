//! Strings of the lab file that remember where they stand, down to the character: a wrong port in
//! `"8000:earth:65536"` gets its caret under the port, not under the whole line.

use super::diagnostic::Span;

/// A value and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// What the file says.
    pub value: T,
    /// Where it says so.
    pub span: Span,
}

/// A string or key and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The string, with escapes resolved.
    pub value: String,
    /// Its place, quotes included.
    pub span: Span,
    /// Where its first character stands, if it is written without escapes; only then do the offsets in
    /// `value` agree with those in the file.
    inner: Option<usize>,
}

impl Text {
    /// A string that stands at `span` of `source`.
    pub fn new(value: impl Into<String>, span: Span, source: &str) -> Self {
        let value = value.into();
        let inner = source.get(span.clone()).and_then(|written| {
            let bare = written == value;
            let quoted = written.len() == value.len() + 2
                && written.starts_with(['"', '\''])
                && written.get(1..=value.len()) == Some(value.as_str());
            match (bare, quoted) {
                (true, _) => Some(span.start),
                (false, true) => Some(span.start + 1),
                (false, false) => None,
            }
        });
        Text { value, span, inner }
    }

    /// A string put together from several places; parts of it have no place of their own.
    pub fn composed(value: impl Into<String>, span: Span) -> Self {
        Text { value: value.into(), span, inner: None }
    }

    /// The whole string as a piece that can be cut.
    pub fn piece(&self) -> Piece<'_> {
        Piece { text: &self.value, whole: self, offset: 0 }
    }
}

/// A part of a string, with its place.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'t> {
    /// The part itself.
    pub text: &'t str,
    whole: &'t Text,
    offset: usize,
}

impl<'t> Piece<'t> {
    /// Its place; that of the whole string when escapes hide the exact one or when nothing is in it.
    pub fn span(&self) -> Span {
        match self.whole.inner {
            Some(inner) if !self.text.is_empty() => {
                let start = inner + self.offset;
                start..start + self.text.len()
            }
            _ => self.whole.span.clone(),
        }
    }

    /// Cuts at the first `separator`, which neither half keeps.
    pub fn split_once(&self, separator: char) -> Option<(Piece<'t>, Piece<'t>)> {
        let at = self.text.find(separator)?;
        Some((self.cut(0, at), self.cut(at + separator.len_utf8(), self.text.len())))
    }

    /// Cuts at the last `separator`, which neither half keeps.
    pub fn rsplit_once(&self, separator: char) -> Option<(Piece<'t>, Piece<'t>)> {
        let at = self.text.rfind(separator)?;
        Some((self.cut(0, at), self.cut(at + separator.len_utf8(), self.text.len())))
    }

    /// All the parts between `separator`s.
    pub fn split(self, separator: char) -> Vec<Piece<'t>> {
        let mut rest = self;
        let mut parts = Vec::new();
        while let Some((part, after)) = rest.split_once(separator) {
            parts.push(part);
            rest = after;
        }
        parts.push(rest);
        parts
    }

    /// What follows `prefix`, if the piece starts with it.
    pub fn strip_prefix(&self, prefix: &str) -> Option<Piece<'t>> {
        self.text.starts_with(prefix).then(|| self.cut(prefix.len(), self.text.len()))
    }

    /// The first `length` bytes.
    pub fn head(&self, length: usize) -> Piece<'t> {
        self.cut(0, length)
    }

    fn cut(&self, start: usize, end: usize) -> Piece<'t> {
        Piece { text: &self.text[start..end], whole: self.whole, offset: self.offset + start }
    }
}
