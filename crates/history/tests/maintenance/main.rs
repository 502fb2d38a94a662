//! What maintenance does to a history, on object stores that work and on object stores that don't.

mod backups;
mod contents;
mod crashes;
mod faults;
mod faulty;
#[path = "../../../hot/benches/fleet.rs"]
mod fleet;
mod layouts;
mod leftovers;
mod loads;
mod place;
mod s3;
mod size;
mod verification;
