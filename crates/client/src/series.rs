//! The series that a meter feeds, and their numbers.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::id::{Id, Tag};

pub(crate) const NAME: &str = "name";
pub(crate) const STATISTIC: &str = "statistic";
pub(crate) const DSTYPE: &str = "atlas.dstype";
pub(crate) const PERCENTILE: &str = "percentile";

/// A tag that the kind of the meter adds.
type OwnTag = (&'static str, Cow<'static, str>);

/// One series of a meter: its tags, and the number that it keeps for as long as the meter lives.
pub struct Series {
    index: u64,
    /// The name, the common tags and those of the id, shared by the series of a meter.
    base: Arc<[Tag]>,
    own: Vec<OwnTag>,
}

impl Series {
    /// Unique within the registry; the first series has number 0, each new one the next.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// All tags, `name` among them, each key once, in no particular order.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        let base = self.base.iter().map(|tag| (&*tag.key, &*tag.value));
        base.chain(self.own.iter().map(|(key, value)| (*key, &**value)))
    }

    /// The value of a tag.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags().find(|(k, _)| *k == key).map(|(_, value)| value)
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag(NAME).unwrap_or_default())?;
        for (key, value) in self.tags().filter(|(key, _)| *key != NAME) {
            write!(f, ",{key}={value}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Series({}: {self})", self.index)
    }
}

/// Makes the series of one meter.
pub(crate) struct SeriesSource {
    base: Arc<[Tag]>,
    next_index: Arc<AtomicU64>,
}

impl SeriesSource {
    /// The tags of the id win over common tags with the same key; the name wins over a tag called `name`.
    pub(crate) fn new(id: &Id, common_tags: &[Tag], next_index: Arc<AtomicU64>) -> Self {
        let name = Tag {
            key: NAME.into(),
            value: id.shared_name(),
        };
        let of_id = id.tags().iter().filter(|tag| &*tag.key != NAME);
        let common = common_tags.iter().filter(|common| {
            &*common.key != NAME && id.tags().iter().all(|tag| tag.key != common.key)
        });
        let base = std::iter::once(name).chain(of_id.chain(common).cloned());
        Self {
            base: base.collect(),
            next_index,
        }
    }

    /// A series with these own tags in place of those of the same key. For a meter that feeds several series.
    pub(crate) fn replacing(&self, own: impl IntoIterator<Item = OwnTag>) -> Arc<Series> {
        let own: Vec<OwnTag> = own.into_iter().collect();
        let clashes = |tag: &Tag| own.iter().any(|(key, _)| **key == *tag.key);
        let base = if self.base.iter().any(clashes) {
            self.base
                .iter()
                .filter(|tag| !clashes(tag))
                .cloned()
                .collect()
        } else {
            self.base.clone()
        };
        self.numbered(base, own)
    }

    /// A series with these own tags unless it has others of the same key. For a meter that feeds one series.
    pub(crate) fn adding(&self, statistic: &'static str, dstype: &'static str) -> Arc<Series> {
        let missing = |key: &str| self.base.iter().all(|tag| &*tag.key != key);
        let own = [(STATISTIC, statistic), (DSTYPE, dstype)];
        let own = own.into_iter().filter(|(key, _)| missing(key));
        let own = own.map(|(key, value)| (key, value.into())).collect();
        self.numbered(self.base.clone(), own)
    }

    fn numbered(&self, base: Arc<[Tag]>, own: Vec<OwnTag>) -> Arc<Series> {
        Arc::new(Series {
            index: self.next_index.fetch_add(1, Ordering::Relaxed),
            base,
            own,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(id: &Id, common: &[(&str, &str)]) -> SeriesSource {
        let common: Vec<Tag> = common.iter().map(|(k, v)| Tag::new(k, v)).collect();
        SeriesSource::new(id, &common, Arc::default())
    }

    fn sorted(series: &Series) -> String {
        let mut tags: Vec<_> = series.tags().map(|(k, v)| format!("{k}={v}")).collect();
        tags.sort();
        tags.join(",")
    }

    #[test]
    fn the_tags_of_the_id_win_over_common_tags() {
        let id = Id::from(("n", [("nf.app", "mine"), ("name", "other")]));
        let series = source(
            &id,
            &[("nf.app", "theirs"), ("nf.node", "i-1"), ("name", "x")],
        )
        .adding("count", "rate");
        assert_eq!(
            sorted(&series),
            "atlas.dstype=rate,name=n,nf.app=mine,nf.node=i-1,statistic=count"
        );
    }

    #[test]
    fn a_statistic_of_the_id_stays_for_one_series_and_goes_for_several() {
        let id = Id::from(("n", [("statistic", "totalTime"), ("atlas.dstype", "sum")]));
        let source = source(&id, &[]);
        let one = source.adding("count", "rate");
        assert_eq!(sorted(&one), "atlas.dstype=sum,name=n,statistic=totalTime");
        let several = source.replacing([(STATISTIC, "max".into()), (DSTYPE, "gauge".into())]);
        assert_eq!(sorted(&several), "atlas.dstype=gauge,name=n,statistic=max");
        assert_eq!((one.index(), several.index()), (0, 1));
        assert_eq!(several.tag("statistic"), Some("max"));
    }
}
