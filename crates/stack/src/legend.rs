//! What stands beside a line: a template filled with the line's tags, or a short text made from what tells the expressions apart.

mod pattern;
mod simple;
mod transform;
pub mod unit_prefix;

pub use simple::simple_legends;

use hesper_model::Tags;
use transform::Transform;

use crate::error::StackError;
use crate::expr::StyleExpr;
use crate::span::ShortSpan;

/// Replaces `$key` and `$(any key)` in a text. A key without parentheses is of letters, digits, `.`, `-` and `_`. Without a key a dollar
/// sign stands for itself.
pub fn substitute(text: &str, mut value: impl FnMut(&str) -> String) -> String {
    let is_key_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (key, behind) = match after.strip_prefix('(') {
            Some(inner) => match inner.find(')') {
                Some(end) => (&inner[..end], &inner[end + 1..]),
                // A parenthesis that is never closed is dropped.
                None => ("", inner),
            },
            None => {
                let end = after.find(|c| !is_key_char(c)).unwrap_or(after.len());
                after.split_at(end)
            }
        };
        match key {
            "" => out.push('$'),
            key => out.push_str(&value(key)),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// How the lines of an expression are called.
pub struct Legend<'s> {
    template: Option<&'s str>,
    offset_millis: i64,
    transform: Option<Transform>,
}

impl<'s> Legend<'s> {
    /// The legend that the settings of an expression ask for, for so many lines.
    ///
    /// # Errors
    /// When an encoding is unknown, or a pattern cannot be read.
    pub fn new(style: &'s StyleExpr, lines: usize) -> Result<Self, StackError> {
        Ok(Self {
            template: style.legend(),
            offset_millis: style.offset_millis(),
            transform: style
                .transform()
                .map(|steps| Transform::read(steps, lines))
                .transpose()?,
        })
    }

    /// True when the text of a line with this label may show tags whose keys begin with `prefix`.
    pub fn may_show(&self, label: &str, prefix: &str) -> bool {
        // What is put into a template is not looked through again; a transform may make keys of any text.
        self.transform.is_some() || self.template.unwrap_or(label).contains(prefix)
    }

    /// The text for a line with this label and these tags.
    ///
    /// # Errors
    /// When a pattern takes too much work.
    pub fn text(&self, label: &str, tags: &Tags) -> Result<String, StackError> {
        let template = match (self.template, self.offset_millis) {
            (Some(template), _) => template.to_owned(),
            (None, offset @ 1..) => format!("{label} (offset={})", ShortSpan(offset)),
            (None, _) => label.to_owned(),
        };
        let text = substitute(&template, |key| tags.get(key).unwrap_or(key).to_owned());
        match &self.transform {
            Some(transform) => transform.apply(text, tags),
            None => Ok(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(text: &str) -> String {
        substitute(text, |key| format!("<{key}>"))
    }

    #[test]
    fn keys_are_replaced() {
        assert_eq!(filled("$name+$(nf.app)x"), "<name>+<nf.app>x");
        assert_eq!(filled("a+$period-b c"), "a+<period-b> c");
        assert_eq!(filled("$(any text!)"), "<any text!>");
        assert_eq!(filled("$ $() $"), "$ $ $");
        assert_eq!(filled("$(open"), "$open");
        assert_eq!(filled("$$a"), "$<a>");
    }

    #[test]
    fn an_unknown_key_stands_for_itself() {
        let style = StyleExpr::new(crate::expr::TimeSeriesExpr::Constant(1.0));
        let tags = Tags::from_pairs([("a", "1")]);
        let style = style.with("legend", "$a $b");
        let legend = Legend::new(&style, 1).expect("plain");
        assert_eq!(legend.text("label", &tags).expect("plain"), "1 b");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[$()a-c é]{0,16}") {
            filled(&text);
        }
    }
}
