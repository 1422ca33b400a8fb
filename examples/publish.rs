//! Publishes results as they change, without asking the store again and again: a hook tells after each flush which
//! tallies moved, and by how much. `cargo run -p voting-examples --bin publish`

use std::{error::Error, time::Duration};

use tokio::sync::mpsc;
use voting_core::{PollId, backends::memory::Memory, prelude::*, store::outcome::Flushed};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The worker waits for the hook, so it only passes on what to look at. A hook is not called for a flush after which
    // the process died, so a program also publishes each result once when it starts.
    let (moved, mut changes) = mpsc::unbounded_channel::<PollId>();
    let hook = move |flushed: &Flushed| {
        for (poll, delta) in &flushed.tallies {
            if delta.changed() {
                let _ = moved.send(poll.clone());
            }
        }
    };
    let voting = Voting::embedded(Memory::default())
        .after_flush(hook)
        .start()
        .await?;
    let poll = Poll::builder("drinks", "Tea or coffee?")
        .option("tea", "Tea")
        .option("coffee", "Coffee")
        .build()?;
    voting.put_poll(&poll).await?;

    let publisher = {
        let voting = voting.clone();
        tokio::spawn(async move {
            while let Some(poll) = changes.recv().await {
                // This is where a message would go to a broker, or a page to a cache.
                match voting.tally(poll.as_str()).await {
                    Ok(tally) => println!("{poll}: {:?}", tally.votes),
                    Err(error) => eprintln!("{poll} is not published: {error}"),
                }
            }
        })
    };
    for choice in ["tea", "coffee", "tea"] {
        voting.cast("drinks", VoterId::issue(), [choice]).await?;
        voting.counted().await?;
    }
    voting.shutdown(Duration::from_secs(10)).await?;
    // The hook, and with it the channel, ends with the last clone of the system.
    drop(voting);
    let _ = tokio::time::timeout(Duration::from_secs(1), publisher).await;
    Ok(())
}
