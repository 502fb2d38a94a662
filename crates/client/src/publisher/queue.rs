//! The queue of batches that the store has not acknowledged.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::series::Series;

/// Values of series at one time. From here on a batch does not change, so that it is the same however often it is sent.
#[derive(Debug)]
pub(super) struct QueuedBatch {
    pub(super) sequence: u64,
    pub(super) time_millis: i64,
    pub(super) series: Arc<[Arc<Series>]>,
    pub(super) values: Vec<f64>,
}

/// Batches in the order of their sequence numbers, bounded by datapoints.
#[derive(Debug)]
pub(super) struct BatchQueue {
    limit: usize,
    state: Mutex<State>,
    arrived: Notify,
    left: Notify,
}

#[derive(Debug)]
struct State {
    batches: VecDeque<Arc<QueuedBatch>>,
    datapoints: usize,
    last_sequence: u64,
}

impl State {
    fn remove(&mut self, place: usize) -> usize {
        let batch = self.batches.remove(place);
        let datapoints = batch.map_or(0, |batch| batch.values.len());
        self.datapoints -= datapoints;
        datapoints
    }
}

impl BatchQueue {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::new(State {
                batches: VecDeque::new(),
                datapoints: 0,
                last_sequence: 0,
            }),
            arrived: Notify::new(),
            left: Notify::new(),
        }
    }

    /// Appends a batch under the next sequence number. Gives the number of datapoints that had to go for it, those of the oldest
    /// batches; a batch above the limit goes itself.
    pub(super) fn push(
        &self,
        time_millis: i64,
        series: Arc<[Arc<Series>]>,
        values: Vec<f64>,
    ) -> usize {
        let mut dropped = 0;
        {
            let mut state = self.state.lock();
            while state.datapoints + values.len() > self.limit && !state.batches.is_empty() {
                dropped += state.remove(0);
            }
            if values.len() > self.limit {
                dropped += values.len();
            } else {
                state.last_sequence += 1;
                state.datapoints += values.len();
                let batch = QueuedBatch {
                    sequence: state.last_sequence,
                    time_millis,
                    series,
                    values,
                };
                state.batches.push_back(Arc::new(batch));
            }
        }
        if dropped > 0 {
            self.left.notify_waiters();
        }
        self.arrived.notify_one();
        dropped
    }

    /// The first batch after a sequence number.
    pub(super) fn first_after(&self, sequence: u64) -> Option<Arc<QueuedBatch>> {
        let state = self.state.lock();
        let place = state
            .batches
            .partition_point(|batch| batch.sequence <= sequence);
        state.batches.get(place).cloned()
    }

    /// Waits until something was appended since the last wait.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Removes all batches up to a sequence number. Gives the number of their datapoints.
    pub(super) fn acknowledge(&self, sequence: u64) -> usize {
        let mut datapoints = 0;
        {
            let mut state = self.state.lock();
            while state
                .batches
                .front()
                .is_some_and(|batch| batch.sequence <= sequence)
            {
                datapoints += state.remove(0);
            }
        }
        self.left.notify_waiters();
        datapoints
    }

    /// Gives a batch up. Gives the number of its datapoints, 0 when it is gone already.
    pub(super) fn give_up(&self, sequence: u64) -> usize {
        let mut state = self.state.lock();
        let place = state
            .batches
            .binary_search_by_key(&sequence, |batch| batch.sequence);
        let datapoints = place.map_or(0, |place| state.remove(place));
        drop(state);
        self.left.notify_waiters();
        datapoints
    }

    /// Waits until no batch up to a sequence number is left.
    pub(super) async fn settled(&self, sequence: u64) {
        let left = self.left.notified();
        tokio::pin!(left);
        loop {
            // From here on notifications count, so that none is missed between the look and the wait.
            left.as_mut().enable();
            let first = self.state.lock().batches.front().map(|b| b.sequence);
            if first.is_none_or(|first| first > sequence) {
                return;
            }
            left.as_mut().await;
            left.set(self.left.notified());
        }
    }

    pub(super) fn last_sequence(&self) -> u64 {
        self.state.lock().last_sequence
    }

    pub(super) fn datapoints(&self) -> usize {
        self.state.lock().datapoints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &BatchQueue, datapoints: usize) -> usize {
        queue.push(0, Arc::new([]), vec![0.0; datapoints])
    }

    fn sequences(queue: &BatchQueue) -> Vec<u64> {
        let state = queue.state.lock();
        state.batches.iter().map(|batch| batch.sequence).collect()
    }

    #[test]
    fn the_oldest_batches_go_when_the_queue_is_full() {
        let queue = BatchQueue::new(100);
        for _ in 0..3 {
            assert_eq!(push(&queue, 30), 0);
        }
        assert_eq!(push(&queue, 50), 60);
        assert_eq!(sequences(&queue), [3, 4]);
        assert_eq!(queue.datapoints(), 80);
        assert_eq!(
            push(&queue, 101),
            181,
            "a batch above the limit goes itself"
        );
        assert_eq!(queue.datapoints(), 0);
        assert_eq!(push(&queue, 100), 0);
        assert_eq!(sequences(&queue), [5]);
    }

    #[test]
    fn batches_leave_when_they_are_acknowledged_or_given_up() {
        let queue = BatchQueue::new(100);
        for _ in 0..5 {
            push(&queue, 10);
        }
        assert_eq!(queue.first_after(0).map(|batch| batch.sequence), Some(1));
        assert_eq!(queue.acknowledge(2), 20);
        assert_eq!(queue.acknowledge(2), 0);
        assert_eq!(queue.first_after(0).map(|batch| batch.sequence), Some(3));
        assert_eq!(queue.give_up(4), 10);
        assert_eq!(queue.give_up(4), 0);
        assert_eq!(queue.first_after(3).map(|batch| batch.sequence), Some(5));
        assert!(queue.first_after(5).is_none());
        assert_eq!(queue.datapoints(), 20);
    }

    #[tokio::test]
    async fn settling_waits_for_batches_up_to_a_sequence_alone() {
        let queue = Arc::new(BatchQueue::new(100));
        queue.settled(10).await;
        push(&queue, 1);
        push(&queue, 1);
        let waiting = tokio::spawn({
            let queue = queue.clone();
            async move { queue.settled(1).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        queue.acknowledge(1);
        waiting.await.expect("the waiting task ends");
    }
}
