//! The whole voting system inside a program, without HTTP: `cargo run -p voting-examples --bin embed`

use std::{error::Error, time::Duration};

use voting_core::{
    backends::sqlite::{Sqlite, SqliteOptions},
    prelude::*,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1);
    let file = file.unwrap_or_else(|| "embed.db".to_owned());
    let store = Sqlite::open(file, SqliteOptions::default())?;
    let voting = Voting::embedded(store).start().await?;
    let poll = Poll::builder("drinks", "Tea or coffee?")
        .option("tea", "Tea")
        .option("coffee", "Coffee")
        .build()?;
    voting.put_poll(&poll).await?;
    for choice in ["tea", "coffee", "tea"] {
        voting.cast("drinks", VoterId::issue(), [choice]).await?;
    }
    voting.counted().await?;
    let tally = voting.tally("drinks").await?;
    for (option, votes) in poll.options().iter().zip(tally.votes) {
        println!("{}: {votes}", option.label);
    }
    voting.shutdown(Duration::from_secs(10)).await?;
    Ok(())
}
