//! The same work for many things, on a few threads, with the results in input order.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Returns `work` of every item, computed by at most `jobs` threads.
pub fn map<T: Sync, R: Send>(items: &[T], jobs: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    let result = work(item);
                    *results[index].lock().expect("each slot is locked once") = Some(result);
                }
            });
        }
    });
    let take = |slot: Mutex<Option<R>>| slot.into_inner().expect("all threads have ended");
    results.into_iter().map(|slot| take(slot).expect("every index was taken by one thread")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_come_in_input_order_whatever_the_number_of_threads() {
        let items: Vec<u32> = (0..100).collect();
        let expected: Vec<u32> = items.iter().map(|item| item * 2).collect();
        for jobs in [0, 1, 7, 200] {
            assert_eq!(super::map(&items, jobs, |item| item * 2), expected);
        }
        assert!(super::map(&[] as &[u32], 4, |item| *item).is_empty());
    }
}
