//! What may come in a URI outside of programs: paths, names of parameters, values.

use std::ops::Range;

use gen_lsp_types::{CompletionItemKind, Documentation};

use super::Offers;
use crate::graph_uri::parameter::{BOUNDS, PALETTES, PARAMETERS, ParameterKind, Values};
use crate::graph_uri::{GraphUri, PATHS};
use crate::markup::Markup;
use crate::program::encoded;

/// Times as people write them.
const TIMES: [&str; 8] = [
    "now", "e-3h", "e-1d", "e-1w", "now-1h", "now-1d", "s+1h", "epoch",
];

const DURATIONS: [&str; 6] = ["1m", "5m", "10m", "1h", "6h", "1d"];

impl Offers<'_> {
    pub(super) fn in_uri(&mut self, offset: usize) {
        let Some(uri) = self.document.uri() else {
            return;
        };
        if let Some(parameter) = self.document.value_at(offset) {
            if let Some(kind) = parameter.kind {
                self.values(kind, parameter.value.clone(), offset);
            }
        } else if uri.query.is_some_and(|query| offset >= query) {
            self.names(uri, offset);
        } else if (uri.path.start..=uri.path.end).contains(&offset) {
            for (path, summary) in PATHS {
                let mut item = self.item(path, &uri.path, path);
                item.kind = Some(CompletionItemKind::File);
                item.detail = Some(summary.to_owned());
                self.items.push(item);
            }
        }
    }

    fn names(&mut self, uri: &GraphUri, offset: usize) {
        let parameter = uri
            .parameters
            .iter()
            .find(|p| (p.name.start..=p.name.end).contains(&offset));
        let (span, has_value) = match parameter {
            Some(parameter) => (parameter.name.clone(), parameter.equals.is_some()),
            None => (offset..offset, false),
        };
        let equals = if has_value { "" } else { "=" };
        for kind in PARAMETERS {
            let given = uri.value(kind.name).is_some_and(|p| p.name != span);
            if given && !kind.repeatable && !kind.per_axis {
                continue;
            }
            let mut markup = Markup::new(self.markup);
            markup.paragraph(kind.summary);
            let mut item = self.item(kind.name, &span, &format!("{}{equals}", kind.name));
            item.kind = Some(CompletionItemKind::Property);
            item.detail = Some(detail(kind));
            item.documentation = Some(Documentation::MarkupContent(markup.finish()));
            self.items.push(item);
        }
    }

    fn values(&mut self, kind: &ParameterKind, span: Range<usize>, offset: usize) {
        let span = match kind.values {
            // Only the one of several that the cursor is in.
            Values::SomeOf(_) => one_of_list(&self.document.text, span, offset),
            _ => span,
        };
        let values: Vec<&str> = match kind.values {
            Values::OneOf(all) | Values::Preferably(all) | Values::SomeOf(all) => all.to_vec(),
            Values::Switch => vec!["1", "0"],
            Values::Bound => BOUNDS.to_vec(),
            Values::Palette => PALETTES.to_vec(),
            Values::Time => TIMES.to_vec(),
            Values::Duration => DURATIONS.to_vec(),
            Values::Zone => chrono_tz::TZ_VARIANTS.iter().map(|tz| tz.name()).collect(),
            Values::Expression | Values::Query | Values::Pixels | Values::Number | Values::Text => {
                Vec::new()
            }
        };
        for value in values {
            let mut item = self.item(value, &span, &encoded(value));
            item.kind = Some(CompletionItemKind::EnumMember);
            item.detail = (value == kind.default).then(|| "default".to_owned());
            self.items.push(item);
        }
    }
}

/// A parameter in a few words.
fn detail(kind: &ParameterKind) -> String {
    let mut detail = match kind.default {
        "" => String::new(),
        default => format!("default: {default}"),
    };
    if kind.per_axis {
        let separator = if detail.is_empty() { "" } else { "; " };
        detail = format!("{detail}{separator}{}.N for axis N", kind.name);
    }
    detail
}

/// The item between commas at a place.
fn one_of_list(text: &str, span: Range<usize>, offset: usize) -> Range<usize> {
    let start = text[span.start..offset]
        .rfind(',')
        .map_or(span.start, |at| span.start + at + 1);
    let end = text[offset..span.end]
        .find(',')
        .map_or(span.end, |at| offset + at);
    start..end
}
