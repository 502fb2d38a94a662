//! Whose turn it is to run: a bounded number of queries at a time, shared fairly between callers.
//!
//! A query that cannot run yet waits behind the others of its caller. When a place is free it goes to the caller with the fewest queries
//! running, of several to the one that was served longest ago; no caller holds more than its share, so that one who asks much waits for
//! himself alone.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Nobody's turn came: too many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyWait {
    /// The limit that was met.
    pub limit: usize,
}

/// How many run and wait.
#[derive(Clone, Copy, Debug)]
pub struct TurnLimits {
    /// Queries that run at the same time.
    pub running: usize,
    /// Of those, queries of one caller.
    pub running_of_caller: usize,
    /// Queries that wait.
    pub waiting: usize,
    /// Of those, queries of one caller.
    pub waiting_of_caller: usize,
}

#[derive(Debug, Default)]
struct Caller {
    running: usize,
    waiting: VecDeque<oneshot::Sender<Turn>>,
    /// When it was served last, as a count of turns.
    served: u64,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    waiting: usize,
    turns: u64,
    callers: HashMap<Arc<str>, Caller>,
}

/// Gives out turns.
#[derive(Clone, Debug)]
pub struct Turns {
    limits: TurnLimits,
    state: Arc<Mutex<State>>,
}

/// A turn; the place is free again when it is dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Turns,
    caller: Arc<str>,
}

/// A place in the queue: it is given up when this is dropped before the turn comes.
struct Waiting<'a> {
    turns: &'a Turns,
    caller: Arc<str>,
    receiver: Option<oneshot::Receiver<Turn>>,
}

impl Turns {
    /// Turns within limits, each of which is at least one.
    pub fn new(limits: TurnLimits) -> Self {
        Self {
            limits,
            state: Arc::default(),
        }
    }

    /// Queries that run, and that wait.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.running, state.waiting)
    }

    /// Waits for a turn of a caller.
    ///
    /// # Errors
    /// When too many wait, of all or of this caller.
    pub async fn wait(&self, caller: &str) -> Result<Turn, TooManyWait> {
        let caller: Arc<str> = caller.into();
        let receiver = {
            let mut state = self.state.lock();
            let running = state.callers.get(&caller).map_or(0, |c| c.running);
            let (all, of_caller) = (
                state.waiting,
                state.callers.get(&caller).map_or(0, |c| c.waiting.len()),
            );
            if state.running < self.limits.running && running < self.limits.running_of_caller {
                return Ok(self.begin(&mut state, caller));
            }
            for (waiting, limit) in [
                (all, self.limits.waiting),
                (of_caller, self.limits.waiting_of_caller),
            ] {
                if waiting >= limit {
                    return Err(TooManyWait { limit });
                }
            }
            let (sender, receiver) = oneshot::channel();
            state.waiting += 1;
            let queue = state.callers.entry(caller.clone()).or_default();
            queue.waiting.push_back(sender);
            receiver
        };
        let mut waiting = Waiting {
            turns: self,
            caller,
            receiver: Some(receiver),
        };
        let turn = waiting.receiver.as_mut().expect("not taken yet").await;
        waiting.receiver = None;
        Ok(turn.expect("a sender is dropped only when its receiver is gone"))
    }

    fn begin(&self, state: &mut State, caller: Arc<str>) -> Turn {
        state.running += 1;
        state.turns += 1;
        let served = state.turns;
        let entry = state.callers.entry(caller.clone()).or_default();
        entry.running += 1;
        entry.served = served;
        Turn {
            turns: self.clone(),
            caller,
        }
    }

    /// Gives free places to those who wait.
    fn serve(&self) {
        loop {
            let (sender, turn) = {
                let mut state = self.state.lock();
                if state.running >= self.limits.running {
                    return;
                }
                let limit = self.limits.running_of_caller;
                let next = state
                    .callers
                    .iter()
                    .filter(|(_, c)| !c.waiting.is_empty() && c.running < limit)
                    .min_by_key(|(_, c)| (c.running, c.served))
                    .map(|(name, _)| name.clone());
                let Some(caller) = next else { return };
                let queue = state.callers.get_mut(&caller).expect("just found");
                let sender = queue.waiting.pop_front().expect("not empty");
                state.waiting -= 1;
                (sender, self.begin(&mut state, caller))
            };
            // Whoever gave up waiting drops the turn, which serves the next.
            drop(sender.send(turn));
        }
    }

    /// Forgets callers without queries.
    fn tidy(state: &mut State, caller: &Arc<str>) {
        let idle = |c: &Caller| c.running == 0 && c.waiting.is_empty();
        if state.callers.get(caller).is_some_and(idle) {
            state.callers.remove(caller);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        {
            let mut state = self.turns.state.lock();
            state.running -= 1;
            if let Some(caller) = state.callers.get_mut(&self.caller) {
                caller.running -= 1;
            }
            Turns::tidy(&mut state, &self.caller);
        }
        self.turns.serve();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(receiver) = self.receiver.take() else {
            return;
        };
        drop(receiver);
        let mut state = self.turns.state.lock();
        let mut gone = 0;
        if let Some(caller) = state.callers.get_mut(&self.caller) {
            let before = caller.waiting.len();
            caller.waiting.retain(|sender| !sender.is_closed());
            gone = before - caller.waiting.len();
        }
        state.waiting -= gone;
        Turns::tidy(&mut state, &self.caller);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::task::JoinHandle;

    use super::*;

    fn turns(running: usize, of_caller: usize) -> Turns {
        Turns::new(TurnLimits {
            running,
            running_of_caller: of_caller,
            waiting: 8,
            waiting_of_caller: 6,
        })
    }

    fn ask(turns: &Turns, caller: &'static str) -> JoinHandle<Result<Turn, TooManyWait>> {
        let turns = turns.clone();
        tokio::spawn(async move { turns.wait(caller).await })
    }

    async fn settle() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn one_caller_does_not_hold_up_another() {
        let turns = turns(2, 1);
        let first = turns.wait("greedy").await.expect("free");
        let second = ask(&turns, "greedy");
        settle().await;
        assert_eq!(turns.counts(), (1, 1), "its share is one");
        let other = turns.wait("modest").await.expect("a place is left");
        let third = ask(&turns, "greedy");
        let fourth = ask(&turns, "late");
        settle().await;
        drop(other);
        settle().await;
        assert!(fourth.is_finished() && !second.is_finished());
        drop(first);
        let second = second.await.expect("no panic").expect("its turn");
        assert!(!third.is_finished());
        drop(second);
        drop(third.await.expect("no panic").expect("its turn"));
        drop(fourth.await.expect("no panic").expect("its turn"));
        assert_eq!(turns.counts(), (0, 0));
        assert!(turns.state.lock().callers.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn places_go_round() {
        let turns = turns(1, 1);
        let running = turns.wait("a").await.expect("free");
        let (a, b) = (ask(&turns, "a"), ask(&turns, "b"));
        settle().await;
        drop(running);
        settle().await;
        assert!(b.is_finished() && !a.is_finished(), "b was never served");
        drop(b.await.expect("no panic").expect("its turn"));
        drop(a.await.expect("no panic").expect("its turn"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_makes_room() {
        let turns = turns(1, 1);
        let running = turns.wait("a").await.expect("free");
        let waiting: Vec<_> = (0..6).map(|_| ask(&turns, "a")).collect();
        settle().await;
        let refused = turns.wait("a").await.err();
        assert_eq!(refused, Some(TooManyWait { limit: 6 }));
        waiting.iter().for_each(JoinHandle::abort);
        settle().await;
        assert_eq!(turns.counts(), (1, 0));
        let next = ask(&turns, "a");
        settle().await;
        drop(running);
        assert!(next.await.expect("no panic").is_ok());
        assert_eq!(turns.counts(), (0, 0));
    }
}
