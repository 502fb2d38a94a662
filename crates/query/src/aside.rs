//! Work that would hold up the tasks that serve connections.

/// Does the work, on a thread of its own when it is large.
///
/// # Panics
/// When the work does.
pub async fn run<T: Send + 'static>(large: bool, work: impl FnOnce() -> T + Send + 'static) -> T {
    if !large {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
