//! From a variable to where it was set.

use std::ops::Range;

use crate::document::Document;

/// The name, where it was set, of the variable that the place is about.
pub(crate) fn definition(document: &Document, offset: usize) -> Option<Range<usize>> {
    let (program, offset) = document.program_at(offset)?;
    let tree = &program.tree;
    let found = tree.definition(tree.token_at(offset)?)?;
    Some(program.in_document(&tree.tokens()[found].span))
}
