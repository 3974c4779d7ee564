//! A typed reader over TOML's tables that keeps the place of everything and goes on after a mistake: a wrong
//! type, an unknown key and a missing key are noted, and the rest of the file is still read.

use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Problems, Span};
use super::suggest;
use super::text::{Spanned, Text};

/// What a kind of table may hold.
pub struct Shape {
    /// How messages call such a table.
    pub what: &'static str,
    /// Its keys, each with a line that shows how to write it.
    pub keys: &'static [(&'static str, &'static str)],
}

impl Shape {
    fn example(&self, key: &str) -> &'static str {
        self.keys.iter().find(|(name, _)| *name == key).map_or("", |(_, example)| example)
    }
}

/// A string, or a list of strings.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// What was there and was a string.
    pub items: Vec<Text>,
    /// The place of the key, if it was given at all.
    pub key: Option<Span>,
}

type Value<'a> = toml::Spanned<DeValue<'a>>;

/// A table while it is read.
pub struct Table<'a> {
    source: &'a str,
    problems: &'a Problems,
    shape: &'static Shape,
    /// Where it starts, for a key that is missing.
    pub span: Span,
    entries: Vec<(Text, &'a Value<'a>)>,
}

impl<'a> Table<'a> {
    /// The whole document.
    pub fn document(
        source: &'a str,
        problems: &'a Problems,
        shape: &'static Shape,
        table: &'a DeTable<'a>,
    ) -> Self {
        let table = Table { source, problems, shape, span: 0..0, entries: entries(source, table) };
        table.refuse_unknown_keys();
        table
    }

    fn inner(&self, shape: &'static Shape, span: Span, table: &'a DeTable<'a>) -> Self {
        let inner = Table {
            source: self.source,
            problems: self.problems,
            shape,
            span,
            entries: entries(self.source, table),
        };
        inner.refuse_unknown_keys();
        inner
    }

    fn knows(&self, key: &Text) -> bool {
        self.shape.keys.iter().any(|(name, _)| *name == key.value)
    }

    /// Whether all its keys are known: if not, one that seems to be left out may only be misspelt.
    pub fn all_known(&self) -> bool {
        self.entries.iter().all(|(key, _)| self.knows(key))
    }

    fn refuse_unknown_keys(&self) {
        for (key, _) in self.entries.iter().filter(|(key, _)| !self.knows(key)) {
            let known = self.shape.keys.iter().map(|(name, _)| *name);
            let problem = Diagnostic::new(
                format!("unknown key `{}` in {}", key.value, self.shape.what),
                key.span.clone(),
                "not a key of this table",
            );
            self.problems.push(match suggest::nearest(&key.value, known.clone()) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(format!("{} takes {}", self.shape.what, suggest::row(known))),
            });
        }
    }

    fn get(&self, key: &str) -> Option<&(Text, &'a Value<'a>)> {
        self.entries.iter().find(|(name, _)| name.value == key)
    }

    /// Where the key stands, if it was given.
    pub fn key_span(&self, key: &str) -> Option<Span> {
        self.get(key).map(|(name, _)| name.span.clone())
    }

    fn wrong_type(&self, key: &str, wanted: &str, value: &Value<'_>) {
        self.problems.push(
            Diagnostic::new(
                format!("`{key}` must be {wanted}"),
                opening(self.source, value.span()),
                format!("this is {}", kind(value.get_ref())),
            )
            .help(format!("write it like `{}`", self.shape.example(key))),
        );
    }

    /// Notes that a key is missing; for the reader of the rest, it is as if it had been wrong.
    pub fn missing(&self, key: &str) {
        self.problems.push(
            Diagnostic::new(
                format!("{} needs the key `{key}`", self.shape.what),
                opening(self.source, self.span.clone()),
                format!("`{key}` is missing here"),
            )
            .help(format!("add `{}`", self.shape.example(key))),
        );
    }

    /// A string.
    pub fn text(&self, key: &str) -> Option<Text> {
        let (_, value) = self.get(key)?;
        match value.get_ref() {
            DeValue::String(string) => Some(Text::new(string.as_ref(), value.span(), self.source)),
            _ => {
                self.wrong_type(key, "a string", value);
                None
            }
        }
    }

    /// A string that must be there.
    pub fn required_text(&self, key: &str) -> Option<Text> {
        if self.get(key).is_none() {
            self.missing(key);
        }
        self.text(key)
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &str) -> Option<Spanned<bool>> {
        let (_, value) = self.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(Spanned { value: *flag, span: value.span() }),
            _ => {
                self.wrong_type(key, "`true` or `false`", value);
                None
            }
        }
    }

    /// A whole number.
    pub fn integer(&self, key: &str) -> Option<Spanned<i64>> {
        let (_, value) = self.get(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        if number.is_none() {
            self.wrong_type(key, "a whole number", value);
        }
        number.map(|number| Spanned { value: number, span: value.span() })
    }

    /// A string or a list of strings; none at all is an empty list.
    pub fn texts(&self, key: &str) -> Texts {
        let Some((name, value)) = self.get(key) else { return Texts::default() };
        let mut texts = Texts { items: Vec::new(), key: Some(name.span.clone()) };
        let list = match value.get_ref() {
            DeValue::String(string) => {
                texts.items.push(Text::new(string.as_ref(), value.span(), self.source));
                return texts;
            }
            DeValue::Array(list) => list,
            _ => {
                self.wrong_type(key, "a string or a list of strings", value);
                return texts;
            }
        };
        for item in list.iter() {
            match item.get_ref() {
                DeValue::String(string) => {
                    texts.items.push(Text::new(string.as_ref(), item.span(), self.source));
                }
                _ => self.wrong_type(key, "a string or a list of strings", item),
            }
        }
        texts
    }

    /// A list of tables of one shape; none at all is an empty list.
    pub fn tables(&self, key: &str, shape: &'static Shape) -> Vec<Table<'a>> {
        let Some((_, value)) = self.get(key) else { return Vec::new() };
        let DeValue::Array(list) = value.get_ref() else {
            self.wrong_type(key, "a list of tables", value);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in list.iter() {
            match item.get_ref() {
                DeValue::Table(table) => tables.push(self.inner(shape, item.span(), table)),
                _ => self.wrong_type(key, "a list of tables", item),
            }
        }
        tables
    }

    /// One table.
    pub fn table(&self, key: &str, shape: &'static Shape) -> Option<Table<'a>> {
        let (name, value) = self.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(self.inner(shape, name.span.clone(), table)),
            _ => {
                self.wrong_type(key, "a table", value);
                None
            }
        }
    }

    /// Tables of one shape under names that the user chose, in file order.
    pub fn named_tables(&self, key: &str, shape: &'static Shape) -> Vec<(Text, Table<'a>)> {
        let Some((_, value)) = self.get(key) else { return Vec::new() };
        let DeValue::Table(all) = value.get_ref() else {
            self.wrong_type(key, "a table of tables", value);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (name, value) in entries(self.source, all) {
            match value.get_ref() {
                DeValue::Table(table) => {
                    let inner = self.inner(shape, name.span.clone(), table);
                    tables.push((name, inner));
                }
                _ => self.wrong_type(key, "a table of tables", value),
            }
        }
        tables
    }

    /// A string, or a table of one shape.
    pub fn text_or_table(&self, key: &str, shape: &'static Shape) -> Option<Result<Text, Table<'a>>> {
        let (name, value) = self.get(key)?;
        match value.get_ref() {
            DeValue::String(string) => Some(Ok(Text::new(string.as_ref(), value.span(), self.source))),
            DeValue::Table(table) => Some(Err(self.inner(shape, name.span.clone(), table))),
            _ => {
                self.wrong_type(key, "a string or a table", value);
                None
            }
        }
    }

    /// Dotted names with a string or a number each. An unquoted `a.b = 1` is nested tables to TOML; it means
    /// the same as `"a.b" = 1` here.
    pub fn settings(&self, key: &str) -> Vec<(Text, Text)> {
        let Some((_, value)) = self.get(key) else { return Vec::new() };
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong_type(key, "a table", value);
            return Vec::new();
        };
        let mut found = Vec::new();
        self.flatten(key, None, table, &mut found);
        found.sort_by_key(|(name, _): &(Text, Text)| name.span.start);
        found
    }

    fn flatten(&self, key: &str, above: Option<&str>, table: &'a DeTable<'a>, found: &mut Vec<(Text, Text)>) {
        for (name, value) in entries(self.source, table) {
            let name = match above {
                Some(above) => Text::composed(format!("{above}.{}", name.value), name.span),
                None => name,
            };
            match value.get_ref() {
                DeValue::Table(inner) => self.flatten(key, Some(&name.value), inner, found),
                DeValue::String(string) => {
                    found.push((name, Text::new(string.as_ref(), value.span(), self.source)));
                }
                DeValue::Integer(number) => {
                    found.push((name, Text::composed(number.to_string(), value.span())));
                }
                _ => self.wrong_type(key, "a table of strings and whole numbers", value),
            }
        }
    }
}

/// The table's entries in file order; the parser sorts them by name.
fn entries<'a>(source: &str, table: &'a DeTable<'a>) -> Vec<(Text, &'a Value<'a>)> {
    let mut all: Vec<_> = table
        .iter()
        .map(|(key, value)| (Text::new(key.get_ref().as_ref(), key.span(), source), value))
        .collect();
    all.sort_by_key(|(key, _)| key.span.start);
    all
}

/// The first line of a span: a table over twenty lines needs no twenty lines of carets.
fn opening(source: &str, span: Span) -> Span {
    let first = source.get(span.clone()).and_then(|written| written.find(['\n', '\r']));
    first.map_or(span.clone(), |length| span.start..span.start + length)
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
