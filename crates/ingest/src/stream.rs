//! A native connection: its tables of strings and series, and the batches that refer to them.

mod definitions;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hesper_hot::log::Lsn;
use hesper_hot::log::record::ClientId;
use hesper_hot::{Batch, HotError};
use hesper_model::validation::Rejection;
use hesper_model::{Tags, Timestamp};
use prost::bytes::Bytes;

use crate::cardinality::Tally;
use crate::place::{Place, Unplaced};
use crate::proto;
use crate::router::{ATTEMPTS, IngestError, Router};
use crate::stats::Reason;
use definitions::Definitions;

/// More datapoints in one batch are refused.
pub const MAX_BATCH_DATAPOINTS: usize = 200_000;

/// Strings and series that a connection may define.
const MAX_TABLE: usize = 8_000_000;

/// How long a series that a limit refused stays refused before it is looked at again.
const REFUSED_MILLIS: i64 = 10_000;

/// The same where the limit is one of time.
const REFUSED_FOR_NOW_MILLIS: i64 = 1_000;

/// After so many batches that define nothing a connection gives back the room for more.
const SETTLED_BATCHES: u32 = 16;

/// Rejects named one by one in an acknowledgement; all are counted.
const MAX_NAMED_REJECTS: usize = 100;

/// Values as a batch carries them.
pub fn pack_values(values: &[f64]) -> Bytes {
    let packed: Vec<[u8; 8]> = values.iter().map(|v| v.to_le_bytes()).collect();
    packed.into_flattened().into()
}

/// What the server remembers of a connection.
pub struct Connection {
    router: Arc<Router>,
    client: ClientId,
    symbols: Vec<Arc<str>>,
    /// By number: where the datapoints of a series go.
    places: Vec<Result<Place, Box<Refused>>>,
    /// By number: its tags.
    definitions: Definitions,
    /// The references of the batch before.
    refs: Vec<u32>,
    batch: Batch,
    tally: Tally,
    /// True while `batch` and `tally` hold a datapoint for each of the references, to be filled with values.
    laid_out: bool,
    scratch: Vec<u8>,
    /// When a series that was refused is to be looked at again, if any is.
    look_again: Option<Timestamp>,
    /// Batches since the last that defined anything.
    settled: u32,
}

struct Refused {
    reason: Reason,
    message: String,
    /// When it may be otherwise.
    until: Option<Timestamp>,
}

impl Refused {
    fn new(reason: Reason, message: String, now: Timestamp) -> Self {
        let millis = match reason {
            Reason::NewSeriesRate => Some(REFUSED_FOR_NOW_MILLIS),
            Reason::SeriesLimit | Reason::NameLimit | Reason::AppLimit => Some(REFUSED_MILLIS),
            _ => None,
        };
        Self {
            reason,
            message,
            until: millis.map(|m| now.plus_millis(m)),
        }
    }
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
            places: Vec::new(),
            definitions: Definitions::default(),
            refs: Vec::new(),
            tally: Tally::default(),
            laid_out: false,
            scratch: Vec::new(),
            look_again: None,
            settled: 0,
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
        self.router.cardinality.tick(now);
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
        if batch.symbols.is_empty() && batch.series.is_empty() {
            self.settled = self.settled.saturating_add(1);
            if self.settled == SETTLED_BATCHES {
                self.give_room_back();
            }
            return Ok(());
        }
        self.settled = 0;
        room(self.symbols.len(), batch.symbols.len())?;
        room(self.places.len(), batch.series.len())?;
        self.symbols
            .extend(batch.symbols.drain(..).map(Arc::<str>::from));
        for series in std::mem::take(&mut batch.series) {
            let tags = self.tags_of(&series.tags)?;
            let place = self.place_of(&tags, now)?;
            self.places.push(place);
            self.definitions.push(&series.tags);
        }
        Ok(())
    }

    /// Gives back what was taken for more definitions: most connections define all their series at once and live long.
    fn give_room_back(&mut self) {
        self.symbols.shrink_to_fit();
        self.places.shrink_to_fit();
        self.definitions.shrink_to_fit();
        self.refs.shrink_to_fit();
        self.batch.shrink_to_fit();
    }

    /// The tags of a definition.
    fn tags_of(&self, definition: &[u32]) -> Result<Tags, IngestError> {
        let (pairs, rest) = definition.as_chunks::<2>();
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

    fn place_of(
        &mut self,
        tags: &Tags,
        now: Timestamp,
    ) -> Result<Result<Place, Box<Refused>>, IngestError> {
        // The age is that of the datapoints, checked with each batch.
        let placed = match self.router.check(tags, now, now) {
            Ok(()) => self.router.place(tags, now),
            Err(r) => Err(Unplaced::Refused(Reason::Rule(r.rule), r.message)),
        };
        match placed {
            Ok(place) => Ok(Ok(place)),
            Err(Unplaced::Refused(reason, message)) => {
                let refused = Refused::new(reason, message, now);
                let sooner = self.look_again.into_iter().chain(refused.until).min();
                self.look_again = sooner;
                Ok(Err(Box::new(refused)))
            }
            Err(Unplaced::Store(e)) => Err(IngestError::Store(e)),
        }
    }

    /// Looks again at the series that a limit refused a while ago.
    fn look_again(&mut self, now: Timestamp) -> Result<(), IngestError> {
        if self.look_again.is_none_or(|when| now < when) {
            return Ok(());
        }
        self.look_again = None;
        for number in 0..self.places.len() {
            let refused = self.places[number].as_ref().err();
            let Some(until) = refused.and_then(|r| r.until) else {
                continue;
            };
            if until > now {
                self.look_again = self.look_again.into_iter().chain([until]).min();
                continue;
            }
            self.place_again(number, now)?;
        }
        Ok(())
    }

    /// Finds the place of a series of the table anew.
    fn place_again(&mut self, number: usize, now: Timestamp) -> Result<(), IngestError> {
        let tags = self.tags_of(&self.definitions.get(number))?;
        self.places[number] = self.place_of(&tags, now)?;
        self.laid_out = false;
        Ok(())
    }

    fn apply(&mut self, batch: &mut proto::Batch, now: Timestamp) -> Result<Taken, IngestError> {
        let (values, rest) = batch.values.as_chunks::<8>();
        let n = values.len();
        if !rest.is_empty() {
            let bytes = batch.values.len();
            return Err(unreadable(format!(
                "values of {bytes} bytes; each has eight"
            )));
        }
        if n > MAX_BATCH_DATAPOINTS {
            return Err(unreadable(format!(
                "a batch of {n} datapoints, more than {MAX_BATCH_DATAPOINTS}"
            )));
        }
        if !batch.refs.is_empty() && batch.refs != self.refs {
            self.refs = std::mem::take(&mut batch.refs);
            self.laid_out = false;
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
        self.look_again(now)?;
        // Each reference has a value that is taken: no question is left to be asked of any of them.
        let is_plain = n > 0 && too_old.is_none() && !values.iter().any(is_nan);
        for _ in 0..ATTEMPTS {
            let mut rejects = Rejects::new(batch.sequence);
            let mut no_data = 0;
            if is_plain && self.lay_out() {
                self.batch.refill(time, values);
            } else {
                no_data = self.gather(time, values, too_old.as_ref(), &mut rejects);
            }
            let accepted = n as u64 - no_data - rejects.total();
            self.batch.set_origin(self.client, batch.sequence, now);
            match router.store().append(&self.batch, &mut self.scratch) {
                Ok(appended) => {
                    router.cardinality.count(&self.tally);
                    stats.no_data.fetch_add(no_data, Ordering::Relaxed);
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

    /// Makes `batch` and `tally` hold a datapoint for each of the references; false when one of them has no place.
    fn lay_out(&mut self) -> bool {
        if self.laid_out {
            return true;
        }
        self.batch.begin(Some(Timestamp(0)));
        self.tally.clear();
        for (number, source) in self.refs.iter().zip(0..) {
            let Some(Ok(place)) = self.places.get(*number as usize) else {
                return false;
            };
            for handle in place.handles() {
                self.batch.push_from(handle, source);
            }
            self.tally.add(place.class);
        }
        self.batch.settle();
        self.laid_out = true;
        true
    }

    /// Gathers the datapoints one by one in `batch` and `tally`, and gives the number of those that are none.
    fn gather(
        &mut self,
        time: Timestamp,
        values: &[[u8; 8]],
        too_old: Option<&Rejection>,
        rejects: &mut Rejects,
    ) -> u64 {
        self.laid_out = false;
        self.batch.begin(Some(time));
        self.tally.clear();
        let mut no_data = 0;
        for (&number, value) in self.refs.iter().zip(values) {
            let value = f64::from_le_bytes(*value);
            let Some(place) = self.places.get(number as usize) else {
                let message = "the reference is not defined";
                rejects.add(number, Reason::UnknownSeries, message);
                continue;
            };
            match (place, too_old) {
                (Err(refused), _) => rejects.add(number, refused.reason, &refused.message),
                (_, Some(age)) => rejects.add(number, Reason::Rule(age.rule), &age.message),
                (Ok(place), None) if !value.is_nan() => {
                    place.push(&mut self.batch, time, value);
                    self.tally.add(place.class);
                }
                (Ok(_), None) => no_data += 1,
            }
        }
        no_data
    }

    /// Finds the series again that the store has let go.
    fn find_again(&mut self, now: Timestamp) -> Result<(), IngestError> {
        for i in 0..self.refs.len() {
            let number = self.refs[i] as usize;
            let is_live = |handle| self.router.store().is_live(handle);
            if let Some(Ok(place)) = self.places.get(number)
                && !place.handles().all(is_live)
            {
                self.place_again(number, now)?;
            }
        }
        Ok(())
    }
}

fn is_nan(value: &[u8; 8]) -> bool {
    f64::from_le_bytes(*value).is_nan()
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

    fn total(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
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
