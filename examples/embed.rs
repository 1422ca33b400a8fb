//! The whole voting system inside a program, without HTTP: `cargo run -p voting-examples --bin embed`

use std::{error::Error, sync::Arc};

use voting_core::{
    Ballot, Poll, PollOption, PollStore, TallyStore, VoteSink, VoterId, Worker, WorkerOptions,
    backends::sqlite::{Sqlite, SqliteOptions},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "embed.db".to_owned());
    let store = Sqlite::open(file, SqliteOptions::default())?;
    let all = Arc::new(store.clone());
    let option = |id: &str, label: &str| {
        Ok::<_, Box<dyn Error>>(PollOption {
            id: id.parse()?,
            label: label.into(),
        })
    };
    let options = vec![option("tea", "Tea")?, option("coffee", "Coffee")?];
    let poll = Poll::new("drinks".parse()?, "Tea or coffee?", options, 1)?;
    store.put_poll(&poll).await?;

    let queue = Arc::new(store.queue());
    let worker = Worker::new(queue, all.clone(), all, WorkerOptions::default()).start();
    let sink = store.sink();
    for choice in ["tea", "coffee", "tea"] {
        let (voter, choices) = (VoterId::issue(), poll.choose([choice])?);
        sink.cast(Ballot {
            poll: poll.id().clone(),
            voter,
            choices,
        })
        .await?;
    }
    worker.stop().await; // counts all that was cast

    let tally = store.tally(poll.id()).await?.ok_or("the poll is gone")?;
    for (option, votes) in poll.options().iter().zip(tally.votes) {
        println!("{}: {votes}", option.label);
    }
    Ok(())
}
