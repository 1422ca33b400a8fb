//! CSV by RFC 4180, safe for spreadsheets.

use std::borrow::Cow;

/// The byte order mark of UTF-8.
pub(super) const MARK: &str = "\u{feff}";

/// Adds a row with these fields.
pub(crate) fn row<'a>(file: &mut String, fields: impl IntoIterator<Item = Cow<'a, str>>) {
    for (index, field) in fields.into_iter().enumerate() {
        if index > 0 {
            file.push(',');
        }
        add_field(file, &field);
    }
    file.push_str("\r\n");
}

fn add_field(file: &mut String, field: &str) {
    let formula = is_formula(field);
    if !formula && !field.contains([',', '"', '\r', '\n']) {
        file.push_str(field);
        return;
    }
    file.push('"');
    if formula {
        file.push('\'');
    }
    file.push_str(&field.replace('"', "\"\""));
    file.push('"');
}

/// Whether a spreadsheet could compute this text instead of showing it. Spreadsheets for East Asian languages take the
/// wide signs, too.
fn is_formula(field: &str) -> bool {
    let signs = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    field.starts_with(['\t', '\r', '\n']) || field.trim_start().starts_with(signs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(fields: &[&str]) -> String {
        let mut file = String::new();
        row(&mut file, fields.iter().map(|field| Cow::from(*field)));
        file
    }

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        assert_eq!(rows(&["a", "", "b c"]), "a,,b c\r\n");
        assert_eq!(
            rows(&["a,b", "say \"hi\"", "x\r\ny", "a=b-c"]),
            "\"a,b\",\"say \"\"hi\"\"\",\"x\r\ny\",a=b-c\r\n"
        );
    }

    #[test]
    fn no_field_is_a_formula() {
        for text in [
            "=HYPERLINK(\"http://x\",\"y\")",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            "  =1",
            "\u{a0}=1",
            "＝1",
            "＋1",
            "－1",
            "＠x",
        ] {
            let row = rows(&[text]);
            let escaped = text.replace('"', "\"\"");
            assert_eq!(row, format!("\"'{escaped}\"\r\n"));
        }
    }
}
