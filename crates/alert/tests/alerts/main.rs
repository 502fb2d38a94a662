//! Rules against a real store and a real engine.

mod evaluation;
mod node;
mod restart;
mod running;
mod shipped_rules;
