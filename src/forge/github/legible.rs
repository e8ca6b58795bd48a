//! JSON with characters in it that are none: bytes that are no UTF-8, and halves of surrogate pairs.
//!
//! Other languages write both, and strict parsers refuse the whole text for it.

use std::borrow::Cow;

/// The same text with U+FFFD in the place of each. Only what strings hold can change, never where they end.
pub(super) fn legible(json: &[u8]) -> String {
    let text = String::from_utf8_lossy(json);
    let mut legible = String::with_capacity(text.len());
    let mut rest: &str = &text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        legible += before;
        let (kept, after) = unescaped(escape);
        legible += &kept;
        rest = after;
    }
    legible + rest
}

/// The escape that `text` begins with, mended, and what comes after it.
fn unescaped(text: &str) -> (Cow<'_, str>, &str) {
    let (escape, after) = match unit(text) {
        Some(0xD800..=0xDBFF) if matches!(text.get(6..).and_then(unit), Some(0xDC00..=0xDFFF)) => text.split_at(12),
        Some(0xD800..=0xDFFF) => return ("\\ufffd".into(), &text[6..]),
        Some(_) => text.split_at(6),
        // The second character may be a backslash, which begins nothing then.
        None => text.split_at(text.char_indices().nth(2).map_or(text.len(), |(end, _)| end)),
    };
    (escape.into(), after)
}

/// The UTF-16 unit of an escape, `\u` and four digits.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &[u8]) -> Option<String> {
        serde_json::from_str(&legible(json)).ok()
    }

    #[test]
    fn what_is_no_character_is_told_as_such() {
        assert_eq!(read(br#""a\ud800b""#).as_deref(), Some("a\u{fffd}b"));
        assert_eq!(read(br#""\udc00\ud800\n""#).as_deref(), Some("\u{fffd}\u{fffd}\n"));
        assert_eq!(read(b"\"a\xffb\"").as_deref(), Some("a\u{fffd}b"));
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        let text = r#""\ud83d\ude00 \\ud800 \\\\ \" \u00e9 é""#;
        assert_eq!(legible(text.as_bytes()), text);
        for broken in [r#""\u12"#, r#""\"#, r#""\ud800\u12é"#, r#""\é"#] {
            assert_eq!(read(broken.as_bytes()), None, "{broken}");
        }
    }
}
