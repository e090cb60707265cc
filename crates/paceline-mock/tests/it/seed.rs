//! The same seed, the same provider.

use paceline_mock::{MockConfig, Seen};

use crate::client::{CHAT, post, start};

async fn statuses(seed: u64) -> Vec<u16> {
    let mock = start(MockConfig { error_rate: 0.5, seed, ..MockConfig::default() }).await;
    for _ in 0..64 {
        post(&mock, CHAT, "{}").await;
    }
    mock.requests().into_iter().map(|Seen { status, .. }| status).collect()
}

#[tokio::test]
async fn faults_repeat_with_their_seed() {
    let first = statuses(1).await;
    assert_eq!(first, statuses(1).await);
    assert_ne!(first, statuses(2).await);
    let ok = first.iter().filter(|status| **status == 200).count();
    assert!((16..=48).contains(&ok), "about half: {ok}");
}
