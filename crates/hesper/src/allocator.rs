//! The allocator, and how it is made to give memory back.
//!
//! Blocks that one thread took and another freed stay with the first until it looks at them, and pages without a block go back to the system
//! only when somebody allocates much. A node that was busy and is no more would hold what it held at its peak: so every thread of the runtime
//! looks after its blocks from time to time, before it goes to sleep.

#![allow(unsafe_code, reason = "the allocator is asked by its C interface")]

use std::cell::Cell;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often a thread looks after its blocks at most.
const INTERVAL: Duration = Duration::from_secs(1);

unsafe extern "C" {
    /// Frees what nothing holds of the calling thread's heap, and gives pages without a block to the system, those of all threads. May be called
    /// at any time by any thread; it moves nothing, so that every block that is held stays as it is.
    fn mi_collect(force: bool);
    #[cfg(target_os = "linux")]
    fn prctl(option: std::ffi::c_int, ...) -> std::ffi::c_int;
}

/// Gives back what the calling thread does not use, and the free pages of all threads.
pub fn give_back() {
    // SAFETY: it may be called at any time, see above; the library is linked, as it is the allocator of this program.
    unsafe { mi_collect(true) }
}

/// As [`give_back`], but does nothing when the thread has done so lately: to be called often.
pub fn give_back_at_times() {
    thread_local! {
        static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    let now = Instant::now();
    let is_due = |last: Instant| now.duration_since(last) >= INTERVAL;
    if LAST.get().is_none_or(is_due) {
        LAST.set(Some(now));
        give_back();
    }
}

/// Asks the system for small pages only. A huge page is in memory as a whole when one block of it is; and the system makes huge pages of what
/// was given back in part.
pub fn use_small_pages() {
    #[cfg(target_os = "linux")]
    {
        const PR_SET_THP_DISABLE: std::ffi::c_int = 41;
        let zero: std::ffi::c_ulong = 0;
        // SAFETY: five numbers, as this option has it; it changes how memory is backed, not what is in it. A refusal changes nothing.
        unsafe { prctl(PR_SET_THP_DISABLE, 1 as std::ffi::c_ulong, zero, zero, zero) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Memory of this process that mirrors no file, in bytes.
    fn anonymous() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").expect("a Linux system");
        let line = status.lines().find(|l| l.starts_with("RssAnon:"));
        let kilobytes = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<usize>().ok());
        kilobytes.expect("a number") * 1024
    }

    /// Set in the process of its own in which the test runs: tests beside it would take and free memory too.
    const ALONE: &str = "HESPER_TEST_ALONE";

    #[test]
    fn what_others_freed_goes_back_and_what_is_held_stays() {
        if std::env::var_os(ALONE).is_none() {
            let name = "allocator::tests::what_others_freed_goes_back_and_what_is_held_stays";
            let program = std::env::current_exe().expect("this test");
            let alone = std::process::Command::new(program)
                .args(["--exact", name])
                .env(ALONE, "1")
                .output()
                .expect("a process");
            let said = String::from_utf8_lossy(&alone.stdout);
            assert!(alone.status.success(), "{said}");
            assert!(said.contains("1 passed"), "{said}");
            return;
        }
        use_small_pages();
        let (blocks, freed) = mpsc::channel::<Vec<Box<[u8; 1000]>>>();
        let freeing = std::thread::spawn(move || {
            // Every hundredth is kept until the end.
            let mut kept = Vec::new();
            for (i, block) in freed.into_iter().flatten().enumerate() {
                if i % 100 == 0 {
                    kept.push(block);
                }
            }
            kept
        });
        let before = anonymous();
        let many: Vec<_> = (0..100_000).map(|i| Box::new([i as u8; 1000])).collect();
        let held = anonymous();
        assert!(held - before > 90 << 20, "{held} {before}");
        blocks.send(many).expect("the other thread listens");
        drop(blocks);
        let kept = freeing.join().expect("no panic");
        give_back();
        assert!(
            kept.iter()
                .enumerate()
                .all(|(i, b)| b[..] == [(i * 100) as u8; 1000])
        );
        drop(kept);
        give_back();
        let after = anonymous();
        assert!(after < before + (20 << 20), "{after} {before}");
    }
}
