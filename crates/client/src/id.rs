//! What a meter is called: a name and tags.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};

/// A tag: a key and a value, of characters that the store takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag {
    pub(crate) key: Arc<str>,
    pub(crate) value: Arc<str>,
}

impl Tag {
    pub(crate) fn new(key: &str, value: &str) -> Self {
        Self {
            key: fix(key),
            value: fix(value),
        }
    }

    /// The key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value.
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// The name and the tags of a meter. Cheap to clone.
///
/// Characters that the store doesn't take become `_`: all but ASCII letters, digits and `-` `.` `_` `~` `^`.
///
/// ```
/// use hesper_client::Id;
///
/// let id = Id::new("http req").with_tag("path", "/a").with_tag("nf.zone", "b");
/// assert_eq!(id.to_string(), "http_req,nf.zone=b,path=_a");
/// ```
#[derive(Clone)]
pub struct Id(Arc<Parts>);

struct Parts {
    name: Arc<str>,
    /// Sorted by key, each key once.
    tags: Box<[Tag]>,
    /// Ids are looked up more often than made.
    hash: u64,
}

impl Id {
    /// An id without tags.
    pub fn new(name: &str) -> Self {
        Self::from_parts(fix(name), Vec::new())
    }

    fn from_parts(name: Arc<str>, mut tags: Vec<Tag>) -> Self {
        static HASHING: LazyLock<RandomState> = LazyLock::new(RandomState::new);

        // The sort is stable, so that of a key that was given twice the last value stays.
        tags.sort_by(|a, b| a.key.cmp(&b.key));
        tags.dedup_by(|next, kept| {
            let same = next.key == kept.key;
            if same {
                std::mem::swap(next, kept);
            }
            same
        });
        let hash = HASHING.hash_one((&name, &tags));
        Self(Arc::new(Parts {
            name,
            tags: tags.into_boxed_slice(),
            hash,
        }))
    }

    /// The same id with one more tag, or with another value for a key that it has.
    pub fn with_tag(&self, key: &str, value: &str) -> Self {
        self.with_tags([(key, value)])
    }

    /// The same id with more tags; they replace those with the same key.
    pub fn with_tags<'a>(&self, tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut all = self.0.tags.to_vec();
        all.extend(tags.into_iter().map(|(key, value)| Tag::new(key, value)));
        Self::from_parts(self.0.name.clone(), all)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The tags, sorted by key, without the name.
    pub fn tags(&self) -> &[Tag] {
        &self.0.tags
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        self.0.name.clone()
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.hash == other.0.hash
                && self.0.name == other.0.name
                && self.0.tags == other.0.tags)
    }
}

impl Eq for Id {}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name)?;
        for tag in &self.0.tags {
            write!(f, ",{}={}", tag.key, tag.value)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

impl From<&str> for Id {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<&Id> for Id {
    fn from(id: &Id) -> Self {
        id.clone()
    }
}

/// A name with tags, as in `registry.counter(("requests", [("path", "search")]))`.
impl<const N: usize> From<(&str, [(&str, &str); N])> for Id {
    fn from((name, tags): (&str, [(&str, &str); N])) -> Self {
        let tags = tags.iter().map(|(key, value)| Tag::new(key, value));
        Self::from_parts(fix(name), tags.collect())
    }
}

/// Replaces the characters that the store doesn't take.
fn fix(text: &str) -> Arc<str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | '^');
    if text.chars().all(allowed) {
        return text.into();
    }
    text.chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect::<String>()
        .into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_are_equal_whatever_the_order_of_their_tags() {
        let a = Id::new("n").with_tag("a", "1").with_tag("b", "2");
        let b = Id::from(("n", [("b", "2"), ("a", "1")]));
        assert_eq!(a, b);
        assert_eq!(a.0.hash, b.0.hash);
        assert_ne!(a, Id::from(("n", [("b", "2")])));
        assert_ne!(a, a.with_tag("a", "2"));
    }

    #[test]
    fn the_last_value_of_a_key_stays() {
        let id = Id::from(("n", [("k", "1"), ("j", "0"), ("k", "2"), ("k", "3")]));
        assert_eq!(id.to_string(), "n,j=0,k=3");
        assert_eq!(id.with_tag("k", "4").to_string(), "n,j=0,k=4");
    }

    #[test]
    fn keys_that_become_the_same_are_one_key() {
        assert_eq!(
            Id::from(("n", [("a b", "1"), ("a/b", "2")])).tags().len(),
            1
        );
    }

    proptest! {
        #[test]
        fn only_allowed_characters_remain(text in ".*") {
            let fixed = fix(&text);
            prop_assert_eq!(fixed.chars().count(), text.chars().count());
            let allowed = |c: char| "-._~^".contains(c) || c.is_ascii_alphanumeric();
            prop_assert!(fixed.chars().all(allowed));
            for (before, after) in text.chars().zip(fixed.chars()) {
                prop_assert!(before == after || (after == '_' && !allowed(before)));
            }
        }
    }
}
