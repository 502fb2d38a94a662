//! Symbols: a number for every string that occurs in tags, one table for all shards of a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

/// The number of a string in [`Symbols`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(pub u32);

/// Strings and their numbers. Grows only: what is gone is left behind when a new table is made, see [`Renumbering`].
///
/// Looking a number up takes no lock; giving one out locks a part of the map.
#[derive(Default)]
pub struct Symbols {
    numbers: DashMap<Arc<str>, Symbol>,
    strings: boxcar::Vec<Arc<str>>,
    /// Bytes of the strings.
    text_bytes: AtomicUsize,
}

/// Bytes of a string in the two tables, which are filled to two thirds; and of the counters before its text.
const ENTRY_BYTES: usize =
    (size_of::<(Arc<str>, Symbol)>() + 1 + size_of::<Arc<str>>() + 8) * 3 / 2 + 16;

impl Symbols {
    /// The number of a string, given out now if it has none yet.
    pub fn intern(&self, text: &str) -> Symbol {
        if let Some(symbol) = self.numbers.get(text) {
            return *symbol;
        }
        self.intern_shared(text.into())
    }

    fn intern_shared(&self, text: Arc<str>) -> Symbol {
        *self.numbers.entry(text.clone()).or_insert_with(|| {
            self.text_bytes.fetch_add(text.len(), Ordering::Relaxed);
            Symbol(self.strings.push(text) as u32)
        })
    }

    /// The number of a string, if it has one.
    pub fn find(&self, text: &str) -> Option<Symbol> {
        self.numbers.get(text).map(|s| *s)
    }

    /// The string of a number.
    pub fn text(&self, symbol: Symbol) -> &Arc<str> {
        self.strings
            .get(symbol.0 as usize)
            .expect("symbols are never removed, and only this table gives them out")
    }

    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.strings.count()
    }

    /// Bytes held, about.
    pub fn size_bytes(&self) -> usize {
        self.text_bytes.load(Ordering::Relaxed) + self.len() * ENTRY_BYTES
    }

    /// True when there is no string yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A new table with those strings of an old one that are still in use.
pub struct Renumbering<'a> {
    old: &'a Symbols,
    new: Symbols,
    /// By old number.
    numbers: Vec<Option<Symbol>>,
}

impl<'a> Renumbering<'a> {
    /// Begins a table without strings.
    pub fn new(old: &'a Symbols) -> Self {
        Self {
            old,
            new: Symbols::default(),
            numbers: vec![None; old.len()],
        }
    }

    /// The new number of a string that is in use.
    pub fn number(&mut self, old: Symbol) -> Symbol {
        let text = || self.old.text(old).clone();
        *self.numbers[old.0 as usize].get_or_insert_with(|| self.new.intern_shared(text()))
    }

    /// The new table.
    pub fn finish(self) -> Symbols {
        self.new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_has_one_number() {
        let symbols = Symbols::default();
        let a = symbols.intern("a");
        let b = symbols.intern("b");
        assert_ne!(a, b);
        assert_eq!(symbols.intern("a"), a);
        assert_eq!(symbols.find("b"), Some(b));
        assert_eq!(symbols.find("c"), None);
        assert_eq!(&**symbols.text(b), "b");
        assert_eq!(symbols.len(), 2);
    }

    #[test]
    fn what_is_in_use_is_taken_over() {
        let old = Symbols::default();
        let numbers: Vec<_> = ["a", "b", "c"].map(|s| old.intern(s)).into();
        let mut renumbering = Renumbering::new(&old);
        let c = renumbering.number(numbers[2]);
        assert_eq!(renumbering.number(numbers[2]), c);
        let a = renumbering.number(numbers[0]);
        let new = renumbering.finish();
        assert_eq!((&**new.text(c), &**new.text(a)), ("c", "a"));
        assert_eq!(
            (new.find("b"), new.find("c"), new.len()),
            (None, Some(c), 2)
        );
    }

    #[test]
    fn threads_agree_on_the_numbers() {
        let symbols = Symbols::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|i| _ = symbols.intern(&i.to_string())));
            }
        });
        assert_eq!(symbols.len(), 1000);
        for i in 0..1000 {
            let text = i.to_string();
            let symbol = symbols.find(&text).expect("interned above");
            assert_eq!(**symbols.text(symbol), *text);
        }
    }
}
