//! A store is put around another one, to see how long flushes take. The worker writes to whatever is a `BatchFlusher`:
//! `cargo run -p voting-examples --bin timed`

mod store;

use std::{error::Error, sync::Arc};

use voting_core::{
    GroupCommit, VoteSink, Worker, backends::memory::Memory, model::ballot::Ballot, prelude::*,
};

use self::store::Timed;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let memory = Memory::default();
    let poll = Poll::builder("drinks", "Tea or coffee?")
        .option("tea", "Tea")
        .option("coffee", "Coffee")
        .build()?;
    memory.put_poll(&poll).await?;

    // `Voting` puts these parts together; here one of them is another.
    let timed = Arc::new(Timed::new(memory.clone()));
    let sink = GroupCommit::new(Arc::new(memory.clone()), GroupCommitOptions::default());
    let (queue, polls) = (memory.reader(), Arc::new(memory.clone()));
    let worker = Worker::new(queue, polls, timed.clone(), WorkerOptions::default()).start();

    for choice in ["tea", "coffee", "tea"] {
        sink.cast(Ballot {
            poll: poll.id().clone(),
            voter: VoterId::issue(),
            choices: poll.choose([choice])?,
            rules: poll.rules(),
        })
        .await?;
    }
    sink.close().await;
    worker.stop().await;

    let times = timed.times();
    println!("{} ballots counted", times.counted);
    println!("{} flushes, the longest of {:?}", times.done, times.longest);
    Ok(())
}
