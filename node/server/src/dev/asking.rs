//! Asking again and again until there is an answer, within a time.

use std::time::Duration;

/// Asks, and again every `pause`; none where there is no answer within `deadline`.
pub(super) async fn asked<T, F: Future<Output = Option<T>>>(
    deadline: Duration,
    pause: Duration,
    mut ask: impl FnMut() -> F,
) -> Option<T> {
    let answered = tokio::time::timeout(deadline, async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(pause).await;
        }
    });
    answered.await.ok()
}

/// The same of what is so, or not yet: whether it came to be within `deadline`.
pub(super) async fn came_to_be(deadline: Duration, pause: Duration, is_so: impl Fn() -> bool) -> bool {
    asked(deadline, pause, || std::future::ready(is_so().then_some(()))).await.is_some()
}
