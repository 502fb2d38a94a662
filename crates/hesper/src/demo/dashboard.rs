//! What a dashboard of the fleet shows: the expressions to begin with, and how long the node takes to answer them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::node_api::NodeApi;
use crate::error::CommandError;

/// An expression worth looking at.
pub struct Panel {
    /// What it shows.
    pub title: &'static str,
    /// The expression.
    pub program: &'static str,
}

/// The panels; they read the fleet alone, but for the last two.
pub const PANELS: [Panel; 7] = [
    Panel {
        title: "latency, p99 by server",
        program: "name,ipc.client.call,:eq,(,ipc.server.app,),:by,(,99,),:percentiles",
    },
    Panel {
        title: "streams started a second",
        program: "name,sps,:eq,:sum",
    },
    Panel {
        title: "failed calls, percent by app",
        program: "name,ipc.server.call,:eq,statistic,count,:eq,:and,:sum,(,nf.app,),:by,:dup,ipc.result,failure,:eq,:cq,:swap,:div,100,:mul",
    },
    Panel {
        title: "timeouts a second, by server",
        program: "name,ipc.client.call,:eq,ipc.status,timeout,:eq,:and,statistic,count,:eq,:and,:sum,(,ipc.server.app,),:by",
    },
    Panel {
        title: "calls a second, by status and attempt",
        program: "name,ipc.client.call,:eq,statistic,count,:eq,:and,:sum,(,ipc.status,ipc.attempt,),:by",
    },
    Panel {
        title: "this machine's processors, percent",
        program: "name,sys.cpu.utilization,:eq,:max",
    },
    Panel {
        title: "datapoints a second, by what became of them",
        program: "name,hesper.store.datapoints,:eq,:sum,(,id,),:by",
    },
];

/// The panels that read the fleet alone.
pub fn fleet_panels() -> &'static [Panel] {
    &PANELS[..5]
}

/// Answers that are remembered.
const REMEMBERED: usize = 100;

/// Asks one panel after the other, and remembers how long the last answers took.
#[derive(Default)]
pub struct Prober {
    next: usize,
    took: VecDeque<Duration>,
}

impl Prober {
    /// Asks the next panel over HTTP.
    ///
    /// # Errors
    /// When the node cannot be reached or refuses.
    pub async fn ask(&mut self, node: &NodeApi) -> Result<(), CommandError> {
        let panel = &PANELS[self.next % PANELS.len()];
        self.next += 1;
        let began = Instant::now();
        node.recent(panel.program).await?;
        self.remember(began.elapsed());
        Ok(())
    }

    fn remember(&mut self, took: Duration) {
        if self.took.len() == REMEMBERED {
            self.took.pop_front();
        }
        self.took.push_back(took);
    }

    /// The time within which 99 of 100 answers came.
    pub fn p99(&self) -> Option<Duration> {
        let mut took: Vec<Duration> = self.took.iter().copied().collect();
        took.sort_unstable();
        // The nearest rank: the smallest that at least 99 % do not exceed.
        let rank = (took.len() * 99).div_ceil(100);
        took.get(rank.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_p99_is_that_of_the_last_answers() {
        let mut prober = Prober::default();
        assert_eq!(prober.p99(), None);
        prober.remember(Duration::from_millis(7));
        assert_eq!(prober.p99(), Some(Duration::from_millis(7)));
        for millis in 1..=100 {
            prober.remember(Duration::from_millis(millis));
        }
        assert_eq!(prober.p99(), Some(Duration::from_millis(99)));
    }

    #[test]
    fn panels_are_expressions() {
        for panel in &PANELS {
            let options = hesper_stack::GraphOptions::default();
            let read = hesper_stack::parse_graph(panel.program, &options);
            assert_eq!(read.map(|e| e.len()).ok(), Some(1), "{}", panel.program);
        }
    }
}
