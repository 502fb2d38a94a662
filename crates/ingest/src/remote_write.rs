//! Prometheus remote write 1.0: a snappy block that holds a protobuf write request.
//!
//! A series that was sent before is found by its labels as they lie in the request (`series_cache`): no text is copied and no tags are made.
//! Only a series that is new to the cache is translated (`translate`), validated and placed like those of every other way in.
//!
//! - Every NaN means no data, the mark of a series that ends among them. The samples of a series are taken in their order.
//! - Metadata, exemplars and unknown fields are passed over. Native histograms are refused and counted, what else the request holds is taken.
//! - A request that cannot be read changes nothing.
//!
//! | what happened | status | the sender |
//! |---|---|---|
//! | all was taken | 204 | |
//! | some samples are invalid, the others were taken | 400 | does not send them again |
//! | it cannot be read | 400 | does not send it again |
//! | more new series than may come in a second, the rest was taken | 429 | may send it all again |
//! | the store cannot take it now | 503 | sends it again |
//!
//! What is sent again after it was taken changes nothing: samples of that time are known to the normaliser, in roll-ups too.

mod series_cache;
mod translate;
mod wire;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hesper_hot::log::Lsn;
use hesper_hot::log::record::ClientId;
use hesper_hot::{Batch, HotError};
use hesper_model::Timestamp;
use hesper_model::validation::Rejection;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use self::series_cache::{Guess, SeriesCache};
use self::wire::SeriesReader;
pub use self::wire::WireError;
use crate::cardinality::Tally;
use crate::place::{Place, Unplaced};
use crate::router::{ATTEMPTS, IngestError, Router};
use crate::stats::Reason;

/// Refusals that are named in an answer; all are counted.
const MAX_NAMED: usize = 5;

/// Room for requests that is kept for the next ones, by request and in number.
const MAX_KEPT_BYTES: usize = 8 << 20;
const MAX_KEPT: usize = 8;

/// How remote write is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RemoteWriteSettings {
    /// Names that end so are running totals (`atlas.dstype=counter`); all others are levels (`gauge`).
    pub counter_suffixes: Vec<String>,
    /// Labels that get another key, such as `job` that of `nf.app`.
    pub rename_labels: BTreeMap<String, String>,
    /// Series that are remembered by their labels, at about 75 bytes each. What is not remembered is looked up by its tags, which costs more time.
    pub max_cached_series: usize,
}

impl Default for RemoteWriteSettings {
    fn default() -> Self {
        let suffixes = ["_total", "_count", "_sum", "_bucket"];
        Self {
            counter_suffixes: suffixes.map(str::to_owned).into(),
            rename_labels: BTreeMap::new(),
            max_cached_series: 20_000_000,
        }
    }
}

/// What became of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RemoteWritten {
    /// Samples handed to the store.
    pub accepted: u64,
    /// Samples that say that there is no data.
    pub no_data: u64,
    /// Refused samples and native histograms, by reason.
    pub refused: Vec<(Reason, u64)>,
    /// What was wrong, for people; the first few.
    pub messages: Vec<String>,
    /// The accepted are durable when the log is durable up to here.
    pub lsn: Lsn,
}

impl RemoteWritten {
    /// The HTTP status of the answer, once the accepted are durable.
    pub fn status(&self) -> u16 {
        match self.refused.as_slice() {
            [] => 204,
            all if all.iter().all(|(reason, _)| reason.is_temporary()) => 429,
            _ => 400,
        }
    }

    /// The text of the answer.
    pub fn message(&self) -> String {
        let refused: u64 = self.refused.iter().map(|(_, n)| n).sum();
        if refused == 0 {
            return String::new();
        }
        let accepted = self.accepted;
        let reasons = self
            .refused
            .iter()
            .map(|(r, n)| format!("{}: {n}", r.name()));
        let reasons: Vec<_> = reasons.collect();
        let mut text = format!(
            "{refused} samples were refused, {accepted} taken ({})\n",
            reasons.join(", ")
        );
        for message in &self.messages {
            text.push_str(message);
            text.push('\n');
        }
        text
    }

    fn refuse(&mut self, reason: Reason, n: u64, message: impl FnOnce() -> String) {
        if n == 0 {
            return;
        }
        match self.refused.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, count)) => *count += n,
            None => self.refused.push((reason, n)),
        }
        if self.messages.len() < MAX_NAMED {
            self.messages.push(message());
        }
    }
}

/// Takes requests of remote write into a router.
pub struct RemoteWrite {
    router: Arc<Router>,
    settings: RemoteWriteSettings,
    cache: RwLock<SeriesCache>,
    /// Rooms that no request uses now.
    idle: Mutex<Vec<Room>>,
}

/// The room that a request needs, kept so that the steady state does not allocate.
struct Room {
    /// The request, unpacked; what lies behind it is left over from before.
    body: Vec<u8>,
    batch: Batch,
    tally: Tally,
    /// Series that are not in the cache, by their place in the request.
    missed: Vec<Range<usize>>,
    /// Series to be put into the cache.
    found: Vec<(Range<usize>, Place)>,
    scratch: Vec<u8>,
}

impl Room {
    fn size_bytes(&self) -> usize {
        self.body.capacity()
            + self.scratch.capacity()
            + self.found.capacity() * size_of::<(Range<usize>, Place)>()
    }
}

/// The time of the samples that are being gathered.
#[derive(Clone, Copy, PartialEq)]
enum Times {
    /// The first sample has not come yet.
    Unknown,
    /// All samples so far are of this time, which the batch then holds once.
    One(i64),
    /// There are several.
    Several,
}

/// Samples on their way into a batch.
struct Gathering<'a> {
    router: &'a Router,
    batch: &'a mut Batch,
    tally: &'a mut Tally,
    now: Timestamp,
    times: Times,
    /// Why samples of the one time are refused.
    too_old: Option<Rejection>,
    /// Set when there are several times after all.
    differs: bool,
    received: u64,
    done: RemoteWritten,
}

impl Gathering<'_> {
    #[inline]
    fn sample(&mut self, place: &Place, time: i64, value: f64) {
        self.received += 1;
        if value.is_nan() {
            self.done.no_data += 1;
            return;
        }
        match self.times {
            Times::One(one) if one == time => {}
            Times::One(_) => {
                self.differs = true;
                return;
            }
            Times::Unknown => {
                self.times = Times::One(time);
                self.batch.begin(Some(Timestamp(time)));
                self.too_old = self.check_age(time);
            }
            Times::Several => self.too_old = self.check_age(time),
        }
        if let Some(r) = &self.too_old {
            self.done
                .refuse(Reason::Rule(r.rule), 1, || r.message.clone());
            return;
        }
        place.push(self.batch, Timestamp(time), value);
        self.tally.add(place.class);
        self.done.accepted += 1;
    }

    fn check_age(&self, time: i64) -> Option<Rejection> {
        let limits = self.router.limits();
        limits.check_age(Timestamp(time), self.now).err()
    }

    fn histograms(&mut self, n: u32) {
        self.received += u64::from(n);
        self.done.refuse(Reason::NativeHistogram, n.into(), || {
            "native histograms are not taken; let the sender send classic ones".to_owned()
        });
    }
}

impl RemoteWrite {
    /// Takes requests into a router.
    pub fn new(router: Arc<Router>, settings: RemoteWriteSettings) -> Self {
        Self {
            router,
            settings,
            cache: RwLock::default(),
            idle: Mutex::default(),
        }
    }

    /// The series in the cache, and the bytes it holds.
    pub fn cached(&self) -> (usize, usize) {
        let cache = self.cache.read();
        (cache.len(), cache.size_bytes())
    }

    /// Takes the body of a request as it was sent, which may unpack to `max_bytes`. What is taken is visible to queries when this returns.
    ///
    /// # Errors
    /// [`IngestError::Unreadable`] when it is no such body; it is counted, and nothing has changed. [`IngestError::Store`] when the store cannot
    /// take it; nothing has changed then but that new series are known.
    pub fn take(
        &self,
        body: &[u8],
        max_bytes: usize,
        now: Timestamp,
    ) -> Result<RemoteWritten, IngestError> {
        let kept = self.idle.lock().pop();
        let mut room = kept.unwrap_or_else(|| Room {
            body: Vec::new(),
            batch: Batch::new(self.router.store().shards()),
            tally: Tally::default(),
            missed: Vec::new(),
            found: Vec::new(),
            scratch: Vec::new(),
        });
        let taken = unpack(body, max_bytes, &mut room.body)
            .and_then(|length| self.take_unpacked(length, &mut room, now));
        if let Err(IngestError::Unreadable(_)) = &taken {
            let unreadable = &self.router.stats().unreadable;
            unreadable.fetch_add(1, Ordering::Relaxed);
        }
        let mut idle = self.idle.lock();
        if idle.len() < MAX_KEPT && room.size_bytes() <= MAX_KEPT_BYTES {
            idle.push(room);
        }
        taken
    }

    fn take_unpacked(
        &self,
        length: usize,
        room: &mut Room,
        now: Timestamp,
    ) -> Result<RemoteWritten, IngestError> {
        let router = &*self.router;
        router.cardinality.tick(now);
        let mut times = Times::Unknown;
        let mut attempts = 0;
        loop {
            // A series that was let go is noticed when the batch is refused; from then on each is looked at.
            let gathered = self.gather(length, room, times, attempts > 0, now)?;
            let Some((received, mut done)) = gathered else {
                times = Times::Several;
                continue;
            };
            room.batch.set_origin(ClientId::NONE, 0, now);
            match router.store().append(&room.batch, &mut room.scratch) {
                Ok(appended) => {
                    let stats = router.stats();
                    let add = |counter: &std::sync::atomic::AtomicU64, n| {
                        counter.fetch_add(n, Ordering::Relaxed);
                    };
                    add(&stats.batches, 1);
                    add(&stats.received, received);
                    add(&stats.accepted, done.accepted);
                    add(&stats.no_data, done.no_data);
                    for (reason, n) in &done.refused {
                        stats.refuse(*reason, *n);
                    }
                    router.cardinality.count(&room.tally);
                    done.lsn = appended.lsn;
                    return Ok(done);
                }
                Err(HotError::UnknownSeries) if attempts < ATTEMPTS => attempts += 1,
                Err(e) => return Err(IngestError::Store(e)),
            }
        }
    }

    /// Fills the batch. `None` when the samples have several times although `times` left room for one only.
    fn gather(
        &self,
        length: usize,
        room: &mut Room,
        times: Times,
        look: bool,
        now: Timestamp,
    ) -> Result<Option<(u64, RemoteWritten)>, IngestError> {
        let body = &room.body[..length];
        room.missed.clear();
        room.found.clear();
        room.batch.begin(None);
        room.tally.clear();
        let mut gathering = Gathering {
            router: &self.router,
            batch: &mut room.batch,
            tally: &mut room.tally,
            now,
            times,
            too_old: None,
            differs: false,
            received: 0,
            done: RemoteWritten::default(),
        };
        let range = |series: &[u8]| {
            let from = series.as_ptr().addr() - body.as_ptr().addr();
            from..from + series.len()
        };
        let is_live = |place: &Place| {
            let store = self.router.store();
            place.handles().all(|handle| store.is_live(handle))
        };
        let mut guess = Guess::default();
        let cache = self.cache.read();
        for series in SeriesReader(body) {
            let series = series.map_err(unreadable)?;
            let hit = cache.find(series, &mut guess).map_err(unreadable)?;
            let hit = match hit {
                Some(hit) if !wire::has_labels(hit.rest).map_err(unreadable)? => Some(hit),
                _ => None,
            };
            let Some(hit) = hit.filter(|hit| !look || is_live(&hit.place)) else {
                check(series).map_err(unreadable)?;
                room.missed.push(range(series));
                continue;
            };
            if hit.is_old {
                room.found.push((range(series), hit.place));
            }
            let histograms = wire::samples(hit.rest, |time, value| {
                gathering.sample(&hit.place, time, value);
            });
            gathering.histograms(histograms.map_err(unreadable)?);
            if gathering.differs {
                return Ok(None);
            }
        }
        let live = self.router.store().series_count() + self.router.store().feed_count();
        let wants_turn = cache.wants_turn(live, self.settings.max_cached_series, now);
        drop(cache);
        for missed in &room.missed {
            let place = self.place_missed(&body[missed.clone()], &mut gathering)?;
            room.found
                .extend(place.map(|place| (missed.clone(), place)));
        }
        let (received, differs, done) = (gathering.received, gathering.differs, gathering.done);
        if wants_turn || !room.found.is_empty() {
            let mut cache = self.cache.write();
            cache.turn(live, self.settings.max_cached_series, now);
            for (range, place) in room.found.drain(..) {
                cache.insert(&body[range], place).map_err(unreadable)?;
            }
        }
        Ok((!differs).then_some((received, done)))
    }

    /// Takes the samples of a series that is not in the cache, and gives its place if it has one.
    fn place_missed(
        &self,
        series: &[u8],
        gathering: &mut Gathering<'_>,
    ) -> Result<Option<Place>, IngestError> {
        let (_, rest) = wire::split_labels(series).map_err(unreadable)?;
        let (mut samples, mut no_data) = (0, 0);
        let histograms = wire::samples(rest, |_, value| match value.is_nan() {
            true => no_data += 1,
            false => samples += 1,
        });
        gathering.histograms(histograms.map_err(unreadable)?);
        if samples == 0 {
            gathering.received += no_data;
            gathering.done.no_data += no_data;
            return Ok(None);
        }
        let mut labels = Vec::with_capacity(16);
        wire::labels(series, |key, value| labels.push((key, value))).map_err(unreadable)?;
        let tags = translate::tags(&self.settings, labels);
        let limits = self.router.limits();
        let placed = match limits.check_tags(tags.iter()) {
            Ok(()) => self.router.place(&tags, gathering.now),
            Err(r) => Err(Unplaced::Refused(Reason::Rule(r.rule), r.message)),
        };
        match placed {
            Ok(place) => {
                wire::samples(rest, |time, value| gathering.sample(&place, time, value))
                    .map_err(unreadable)?;
                // What has labels in other places is not found by those that it begins with.
                let is_plain = !wire::has_labels(rest).map_err(unreadable)?;
                Ok(is_plain.then_some(place))
            }
            Err(Unplaced::Refused(reason, message)) => {
                gathering.received += samples + no_data;
                gathering.done.no_data += no_data;
                let message = || format!("{message} (tags: {tags})");
                gathering.done.refuse(reason, samples, message);
                Ok(None)
            }
            Err(Unplaced::Store(e)) => Err(IngestError::Store(e)),
        }
    }
}

/// Reads all of a series, so that nothing of a request is taken that cannot be read.
fn check(series: &[u8]) -> Result<(), WireError> {
    wire::labels(series, |_, _| {})?;
    wire::samples(series, |_, _| {})?;
    Ok(())
}

/// Unpacks a snappy block into `out` and gives its length.
fn unpack(body: &[u8], max_bytes: usize, out: &mut Vec<u8>) -> Result<usize, IngestError> {
    let broken = |e: snap::Error| {
        let what = format!("the body is no snappy block: {e}; send it in snappy's block format");
        IngestError::Unreadable(what)
    };
    let length = snap::raw::decompress_len(body).map_err(broken)?;
    if length > max_bytes {
        return Err(IngestError::Unreadable(format!(
            "the body unpacks to {length} bytes, more than {max_bytes}; send fewer samples at once or raise --max-body-bytes"
        )));
    }
    if out.len() < length {
        out.resize(length, 0);
    }
    let mut decoder = snap::raw::Decoder::new();
    decoder.decompress(body, out).map_err(broken)
}

fn unreadable(error: WireError) -> IngestError {
    IngestError::Unreadable(format!("the body is no write request: {error}"))
}
