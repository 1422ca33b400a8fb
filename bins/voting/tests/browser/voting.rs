//! The voting page.

use crate::{
    CATS, DOGS,
    support::{Voting, browser::Browser},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_that_cannot_be_stored_is_not_shown_as_taken() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let browser = Browser::start(true).await;
    browser.goto(&voting.vote).await;
    browser.click(CATS).await;
    browser.reads("#status", "Your vote for Cats is in.").await;
    voting.kill();
    browser.click(DOGS).await;
    browser.reads("#status", "your vote is not confirmed").await;
    browser.reads("#status button", "Try again").await;
    assert_eq!(browser.text("button.chosen .label").await, "Cats");
    browser.end().await;
}
