//! A rule of one's own says which ballots count: here, only those of members. The worker decides by it, so that no
//! other way into the log goes around it. `cargo run -p voting-examples --bin rule`

use std::{collections::HashSet, error::Error, sync::Arc, time::Duration};

use async_trait::async_trait;
use voting_core::{
    VoteSink, Worker,
    backends::memory::Memory,
    pipeline::rule::{BallotRule, Refusal},
    prelude::*,
};

/// Counts the ballots of members.
struct MembersOnly(HashSet<VoterId>);

#[async_trait]
impl BallotRule for MembersOnly {
    // A list elsewhere is asked here. While it does not answer, return an error: the worker waits and asks again.
    async fn check(&self, ballot: &Ballot, _: &Poll) -> Result<Result<(), Refusal>, StoreError> {
        Ok(match self.0.contains(&ballot.voter) {
            true => Ok(()),
            false => Err(Refusal::new("not-a-member", "Only members can vote.")),
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = Memory::default();
    let poll = Poll::builder("board", "Who chairs the board?")
        .option("ada", "Ada")
        .option("bob", "Bob")
        .build()?;
    store.put_poll(&poll).await?;

    let (member, stranger) = (VoterId::issue(), VoterId::issue());
    let all = Arc::new(store.clone());
    let options = WorkerOptions {
        max_wait: Duration::from_millis(5),
        ..WorkerOptions::default()
    };
    let worker = Worker::new(Arc::new(store.queue()), all.clone(), all, options)
        .with_rule(Arc::new(MembersOnly(HashSet::from([member]))))
        .start();

    // Written to the log by somebody who does not ask the rule first, as `Voting::cast` and the vote service do.
    let sink = store.sink();
    let mut receipts = Vec::new();
    for (voter, option) in [(member, "ada"), (stranger, "bob")] {
        let ballot = Ballot {
            poll: poll.id().clone(),
            voter,
            choices: poll.choose([option])?,
            rules: None,
        };
        receipts.push(sink.cast(ballot).await?);
    }
    worker.stop().await;
    for receipt in receipts {
        match store.receipt_state(&receipt).await? {
            ReceiptState::Rejected(reason) => println!("rejected: {reason}"),
            state => println!("{state:?}"),
        }
    }
    let tally = store.tally(poll.id()).await?.ok_or("the poll is gone")?;
    println!("Ada: {}, Bob: {}", tally.votes[0], tally.votes[1]);
    Ok(())
}
