//! Work that is spread over the cores.

use std::ops::Range;
use std::thread;

/// Does work over `0..n` in parts, each on a core of its own, and gives what they made in their order. `worth` things are worth a further
/// core: with fewer, all is done here.
///
/// # Panics
/// When the work does.
pub fn in_parts<R: Send>(
    n: usize,
    worth: usize,
    work: impl Fn(Range<usize>) -> R + Sync,
) -> Vec<R> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let parts = (n / worth.max(1)).clamp(1, cores);
    let part = |i: usize| i * n / parts..(i + 1) * n / parts;
    if parts == 1 {
        return vec![work(part(0))];
    }
    thread::scope(|scope| {
        let work = &work;
        let others: Vec<_> = (1..parts)
            .map(|i| scope.spawn(move || work(part(i))))
            .collect();
        let first = work(part(0));
        let others = others.into_iter().map(|other| match other.join() {
            Ok(made) => made,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        std::iter::once(first).chain(others).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_all_and_in_order() {
        for (n, worth) in [(0, 10), (5, 10), (20, 10), (1003, 10), (7, 0)] {
            let parts = in_parts(n, worth, |range| range.collect::<Vec<_>>());
            assert_eq!(parts.concat(), (0..n).collect::<Vec<_>>(), "{n} {worth}");
        }
        assert_eq!(in_parts(9, 10, |range| range).len(), 1);
    }

    #[test]
    #[should_panic(expected = "of a part")]
    fn a_panic_is_passed_on() {
        in_parts(2, 1, |range| assert!(range.end < 2, "of a part"));
    }
}
