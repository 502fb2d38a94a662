//! What the tags of the stored series are: completion asks it for keys and values.

/// The tags of some store. It is asked while someone types: an answer has to be there at once.
pub trait Tags: Send + Sync {
    /// Keys that begin with a text, sorted, no more than the limit.
    fn keys(&self, prefix: &str, limit: usize) -> Vec<String>;

    /// Values of a key that begin with a text, sorted, no more than the limit.
    fn values(&self, key: &str, prefix: &str, limit: usize) -> Vec<String>;
}

/// No tags at all: for an editor that has no server to ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTags;

impl Tags for NoTags {
    fn keys(&self, _prefix: &str, _limit: usize) -> Vec<String> {
        Vec::new()
    }

    fn values(&self, _key: &str, _prefix: &str, _limit: usize) -> Vec<String> {
        Vec::new()
    }
}
