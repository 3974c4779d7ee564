//! From data to text: tables for people, JSON for programs. Nothing here reads the machine or prints.

pub mod bench;
pub mod books;
pub mod checks;
pub mod flows;
pub mod live;
pub mod rules;
pub mod status;

use comfy_table::presets;
use comfy_table::{CellAlignment, Table};
use serde_json::Value;

/// A table without lines: columns parted by blanks, as iproute2 and conntrack users are used to. `numbers`
/// are the columns that are right-aligned.
fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>, numbers: &[usize]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if numbers.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = table.to_string();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A result for programs: `schema` first, then what `fields` says.
fn json(verb: &str, lab: &str, fields: Value) -> String {
    let mut object = serde_json::Map::new();
    object.insert("schema".into(), format!("netlab.{verb}/1").into());
    object.insert("lab".into(), lab.into());
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    format!("{:#}\n", Value::Object(object))
}

/// A number of bytes, short: three figures and a binary unit.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} B"),
        _ if value < 10.0 => format!("{value:.2} {}", UNITS[unit]),
        _ if value < 100.0 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::{size, table};

    #[test]
    fn sizes_have_three_figures_and_a_unit() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.50 KiB");
        assert_eq!(size(20 << 20), "20.0 MiB");
        assert_eq!(size(u64::MAX), "16384 PiB");
    }

    #[test]
    fn tables_align_numbers_right_and_leave_no_trailing_blanks() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["bb".to_owned(), "20".to_owned()]];
        assert_eq!(table(&["NAME", "N"], rows, &[1]), "NAME   N\na      1\nbb    20\n");
    }
}
