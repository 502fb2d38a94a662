//! What maintenance does to a history, on object stores that work and on object stores that don't.

mod contents;
mod faults;
mod faulty;
mod layouts;
mod place;
