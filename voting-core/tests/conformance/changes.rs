//! Each store logs what it changes of an open poll's texts.

use std::{
    io::{self, Write},
    sync::{LazyLock, Mutex, PoisonError},
};

use voting_core::{
    Poll, PollId, PollOption, PollState, conformance::Backend, model::poll_state::Seals,
};

use super::{memory_backend, postgres, sqlite};

/// What all tests of this program log: a store may write on a thread of its own.
static LINES: LazyLock<&'static Lines> = LazyLock::new(|| {
    let lines: &'static Lines = Box::leak(Box::default());
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(move || lines)
        .finish();
    tracing::subscriber::set_global_default(subscriber).expect("there is no other");
    lines
});

#[derive(Default)]
struct Lines(Mutex<Vec<u8>>);

impl Write for &Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines that name a poll.
fn lines_of(poll: &PollId) -> Vec<String> {
    let lines = LINES.0.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = String::from_utf8_lossy(&lines);
    let named = lines.lines().filter(|line| line.contains(poll.as_str()));
    named.map(str::to_owned).collect()
}

async fn logs_its_changes(backend: Backend) {
    LazyLock::force(&LINES);
    let id: PollId = format!("p{}", uuid::Uuid::now_v7().simple())
        .parse()
        .expect("an id");
    let poll = |title: &str, labels: [&str; 2]| {
        let options = [("a", labels[0]), ("b", labels[1])].map(|(id, label)| PollOption {
            id: id.parse().expect("an id"),
            label: label.to_owned(),
        });
        Poll::new(id.clone(), title, options.to_vec(), 1).expect("a poll")
    };
    let put = async |poll: Poll| backend.polls.put_poll(&poll).await;
    // As an earlier version stored it.
    let old = format!(
        r#"{{"id":"{id}","title":"Who?\u202e","options":[{{"id":"a","label":"Alice"}},{{"id":"b","label":"Bob"}}]}}"#
    );
    put(serde_json::from_str(&old).expect("a stored poll"))
        .await
        .expect("stored");
    assert_eq!(
        lines_of(&id),
        Vec::<String>::new(),
        "a new poll is no change"
    );
    put(poll("Who?", ["Bob", "Alice"])).await.expect("stored");
    put(poll("Who?", ["Bob", "Alice"])).await.expect("stored");
    let lines = lines_of(&id);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for (line, change) in lines.iter().zip([
        r#"field="title" old="Who?\u{202e}" new="Who?""#,
        r#"field="label" option="a" old="Alice" new="Bob""#,
        r#"field="label" option="b" old="Bob" new="Alice""#,
    ]) {
        assert!(line.contains(change) && line.contains("WARN"), "{line}");
    }
    let done = PollState::Final(Seals::default());
    backend
        .polls
        .advance_poll(&id, &done)
        .await
        .expect("stored");
    put(poll("Who?", ["Alice", "Bob"]))
        .await
        .expect_err("it is closed");
    assert_eq!(lines_of(&id).len(), 3, "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_logs_its_changes() {
    logs_its_changes(memory_backend(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_logs_its_changes() {
    logs_its_changes(sqlite::sqlite_backend().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_logs_its_changes() {
    logs_its_changes(postgres::memory_log().await).await;
}
