//! The times of a request: when it starts and ends, in which zone, and at which step it is answered.

mod date;
mod range;
mod step;
mod zone;

pub(crate) use date::reference_of;
pub use date::{Instant, TimeReferences, parse_time};
pub use range::{GraphTime, fetch_range, time_range};
pub use step::AllowedSteps;
pub use zone::TimeZone;
