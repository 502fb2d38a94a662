//! A native connection: its tables of strings and series, and the batches that refer to them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hesper_hot::log::Lsn;
use hesper_hot::log::record::ClientId;
use hesper_hot::{Batch, HotError, SeriesHandle};
use hesper_model::{Tags, Timestamp};

use crate::proto;
use crate::router::{IngestError, ResolveError, Router};
use crate::stats::Reason;

/// More datapoints in one batch are refused.
pub const MAX_BATCH_DATAPOINTS: usize = 200_000;

/// Strings and series that a connection may define.
const MAX_TABLE: usize = 8_000_000;

/// How often a batch is tried again after a series it names was let go in between.
const RESOLVE_ATTEMPTS: usize = 8;

/// Rejects named one by one in an acknowledgement; all are counted.
const MAX_NAMED_REJECTS: usize = 100;

/// What the server remembers of a connection.
pub struct Connection {
    router: Arc<Router>,
    client: ClientId,
    symbols: Vec<Arc<str>>,
    series: Vec<Series>,
    /// The references of the batch before.
    refs: Vec<u32>,
    batch: Batch,
    scratch: Vec<u8>,
}

/// A series of the connection's table.
struct Series {
    tags: Tags,
    place: Place,
}

enum Place {
    Known(SeriesHandle),
    Refused(Reason, String),
}

/// What became of a batch.
#[derive(Debug)]
pub struct Taken {
    /// The batch.
    pub sequence: u64,
    /// What was refused.
    pub rejects: Vec<proto::Reject>,
    /// It may be acknowledged when the log is durable up to here.
    pub lsn: Lsn,
}

impl Connection {
    /// A connection that begins with a hello.
    ///
    /// # Errors
    /// When the tenant is not known or the client has no proper identity.
    pub fn open(router: Arc<Router>, hello: &proto::Hello) -> Result<Self, IngestError> {
        router.check_tenant(&hello.tenant)?;
        let client = client_id(&hello.client)?;
        if client == ClientId::NONE {
            return Err(IngestError::Unreadable(
                "the hello names no client; send 16 random bytes".to_owned(),
            ));
        }
        Ok(Self {
            batch: Batch::new(router.store().shards()),
            router,
            client,
            symbols: Vec::new(),
            series: Vec::new(),
            refs: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// Takes a batch. Everything in it that is valid is visible to queries when this returns.
    ///
    /// Its definitions go over into the connection, also when the store cannot take the datapoints for now: what is left in `batch` can
    /// then be given again.
    ///
    /// # Errors
    /// When the batch cannot be read or the store cannot take it; none of its datapoints has changed anything then.
    pub fn take(&mut self, batch: &mut proto::Batch, now: Timestamp) -> Result<Taken, IngestError> {
        let result = self
            .define(batch, now)
            .and_then(|()| self.apply(batch, now));
        if let Err(IngestError::Unreadable(_)) = &result {
            let unreadable = &self.router.stats().unreadable;
            unreadable.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    /// Takes in new strings and series.
    fn define(&mut self, batch: &mut proto::Batch, now: Timestamp) -> Result<(), IngestError> {
        let room = |table: usize, new: usize| match table + new > MAX_TABLE {
            true => Err(unreadable(format!(
                "a connection may define {MAX_TABLE} strings and series; open a new one"
            ))),
            false => Ok(()),
        };
        room(self.symbols.len(), batch.symbols.len())?;
        room(self.series.len(), batch.series.len())?;
        self.symbols
            .extend(batch.symbols.drain(..).map(Arc::<str>::from));
        for series in std::mem::take(&mut batch.series) {
            let tags = self.tags_of(&series)?;
            let place = self.place_of(&tags, now)?;
            self.series.push(Series { tags, place });
        }
        Ok(())
    }

    fn tags_of(&self, series: &proto::Series) -> Result<Tags, IngestError> {
        let (pairs, rest) = series.tags.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(unreadable("a series has a key without a value".to_owned()));
        }
        let symbol = |number: u32| {
            self.symbols.get(number as usize).cloned().ok_or_else(|| {
                let known = self.symbols.len();
                unreadable(format!("string {number} is not defined, {known} are"))
            })
        };
        let pairs = pairs.iter().map(|[k, v]| Ok((symbol(*k)?, symbol(*v)?)));
        Ok(Tags::from_pairs(
            pairs.collect::<Result<Vec<_>, IngestError>>()?,
        ))
    }

    fn place_of(&self, tags: &Tags, now: Timestamp) -> Result<Place, IngestError> {
        // The age is that of the datapoints, checked with each batch.
        if let Err(rejection) = self.router.check(tags, now, now) {
            return Ok(Place::Refused(
                Reason::Rule(rejection.rule),
                rejection.message,
            ));
        }
        match self.router.resolve(tags) {
            Ok(handle) => Ok(Place::Known(handle)),
            Err(ResolveError::Refused(reason, message)) => Ok(Place::Refused(reason, message)),
            Err(ResolveError::Store(e)) => Err(IngestError::Store(e)),
        }
    }

    fn apply(&mut self, batch: &mut proto::Batch, now: Timestamp) -> Result<Taken, IngestError> {
        let n = batch.values.len();
        if n > MAX_BATCH_DATAPOINTS {
            return Err(unreadable(format!(
                "a batch of {n} datapoints, more than {MAX_BATCH_DATAPOINTS}"
            )));
        }
        if !batch.refs.is_empty() {
            self.refs = std::mem::take(&mut batch.refs);
        }
        if self.refs.len() != n && n > 0 {
            let refs = self.refs.len();
            return Err(unreadable(format!("{n} values for {refs} references")));
        }
        let router = self.router.clone();
        let stats = router.stats();
        stats.received.fetch_add(n as u64, Ordering::Relaxed);
        stats.batches.fetch_add(1, Ordering::Relaxed);
        let time = Timestamp(batch.time_millis);
        let too_old = router.limits().check_age(time, now).err();
        for _ in 0..RESOLVE_ATTEMPTS {
            let mut rejects = Rejects::new(batch.sequence);
            self.batch.begin(Some(time));
            for (&number, &value) in self.refs.iter().zip(&batch.values) {
                let Some(series) = self.series.get(number as usize) else {
                    rejects.add(
                        number,
                        Reason::UnknownSeries,
                        "the reference is not defined",
                    );
                    continue;
                };
                match (&series.place, &too_old) {
                    (Place::Refused(reason, message), _) => rejects.add(number, *reason, message),
                    (_, Some(age)) => rejects.add(number, Reason::Rule(age.rule), &age.message),
                    (Place::Known(handle), None) if !value.is_nan() => {
                        self.batch.push(*handle, time, value);
                    }
                    (Place::Known(_), None) => {}
                }
            }
            self.batch.set_origin(self.client, batch.sequence, now);
            match router.store().append(&self.batch, &mut self.scratch) {
                Ok(appended) => {
                    let accepted = self.batch.len() as u64;
                    stats.accepted.fetch_add(accepted, Ordering::Relaxed);
                    for (reason, count) in &rejects.counts {
                        stats.refuse(*reason, *count);
                    }
                    return Ok(Taken {
                        sequence: batch.sequence,
                        rejects: rejects.named,
                        lsn: appended.lsn,
                    });
                }
                Err(HotError::UnknownSeries) => self.find_again(now)?,
                Err(e) => return Err(IngestError::Store(e)),
            }
        }
        Err(IngestError::Store(HotError::UnknownSeries))
    }

    /// Finds the series again that the store has let go.
    fn find_again(&mut self, now: Timestamp) -> Result<(), IngestError> {
        for i in 0..self.refs.len() {
            let number = self.refs[i] as usize;
            let Some(series) = self.series.get(number) else {
                continue;
            };
            if let Place::Known(handle) = series.place
                && !self.router.store().is_live(handle)
            {
                let place = self.place_of(&series.tags, now)?;
                self.series[number].place = place;
            }
        }
        Ok(())
    }
}

fn unreadable(what: String) -> IngestError {
    IngestError::Unreadable(what)
}

/// The identity in a message: none, or 16 bytes.
///
/// # Errors
/// For any other length.
pub fn client_id(bytes: &[u8]) -> Result<ClientId, IngestError> {
    match bytes.len() {
        0 => Ok(ClientId::NONE),
        16 => Ok(ClientId(*bytes.first_chunk().expect("16 bytes"))),
        n => Err(unreadable(format!(
            "a client is named by 16 bytes, not {n}"
        ))),
    }
}

/// The rejects of a batch: all counted, some named.
struct Rejects {
    sequence: u64,
    named: Vec<proto::Reject>,
    counts: Vec<(Reason, u64)>,
}

impl Rejects {
    fn new(sequence: u64) -> Self {
        Self {
            sequence,
            named: Vec::new(),
            counts: Vec::new(),
        }
    }

    fn add(&mut self, number: u32, reason: Reason, message: &str) {
        match self.counts.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((reason, 1)),
        }
        // Every one has its reason, so that the client can count; only the first carry a text.
        let message = match self.named.len() < MAX_NAMED_REJECTS {
            true => message.to_owned(),
            false => String::new(),
        };
        self.named.push(proto::Reject {
            sequence: self.sequence,
            r#ref: number,
            reason: reason.name().to_owned(),
            message,
        });
    }
}
