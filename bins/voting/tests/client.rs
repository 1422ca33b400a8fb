//! The Rust client, with the all-in-one.

mod support;

use std::time::Duration;

use support::Voting;
use voting_client::{
    Error, OperatorClient, ResultClient, VoteClient, Voter,
    types::{NewPoll, PollState, ReceiptState},
};

#[tokio::test]
async fn a_client_hosts_votes_and_follows_the_result_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let voting = Voting::start(folder.path());
    let host = OperatorClient::new(&voting.operator, &voting.operator_token()).unwrap();
    let vote = VoteClient::new(&voting.vote).unwrap();
    let results = ResultClient::new(&voting.result).unwrap();

    let poll = NewPoll::new("drinks", "Tea or coffee?")
        .option("tea", "Tea")
        .option("coffee", "Coffee")
        .with("blank", true);
    let made = host.create_poll(&poll).await.unwrap();
    assert_eq!((made.state, made.blank), (PollState::Open, Some(true)));
    let error = host.create_poll(&poll).await.unwrap_err();
    assert_eq!(error.kind(), Some("revision-changed"));
    assert_eq!(host.put_poll(&poll).await.unwrap().revision, made.revision);
    let replaced = host.replace_poll(&poll, made.revision + 1).await;
    assert_eq!(replaced.unwrap_err().kind(), Some("revision-changed"));
    assert!(
        vote.polls()
            .await
            .unwrap()
            .iter()
            .any(|poll| poll.id == "drinks")
    );

    let mut tallies = results.follow("drinks", None).unwrap();
    let first = tallies.next().await.unwrap().unwrap();
    assert_eq!((first.tally.voters, first.is_current), (0, true));

    let mut voter = Voter::new();
    let tea = vote.cast("drinks", &mut voter, &["tea"]).await.unwrap();
    let mut voter = Voter::from_key(voter.key().unwrap()).unwrap();
    let coffee = vote.cast("drinks", &mut voter, &["coffee"]).await.unwrap();
    assert_eq!(tea.voter, coffee.voter);
    let wrong = vote.cast("drinks", &mut voter, &["water"]).await;
    assert_eq!(wrong.unwrap_err().kind(), Some("invalid-choice"));
    assert!(vote.eligibility("drinks", &voter).await.unwrap().eligible);
    let mut other = Voter::new();
    vote.cast("drinks", &mut other, &["tea"]).await.unwrap();
    let back = vote.withdraw("drinks", &mut other).await.unwrap();

    let limit = Duration::from_secs(30);
    let closed = host.close_and_wait("drinks", limit).await.unwrap();
    assert_eq!(closed.state, PollState::Final);
    for (receipt, state) in [
        (&tea.receipt, ReceiptState::Superseded),
        (&coffee.receipt, ReceiptState::Counted),
        (&back.receipt, ReceiptState::Counted),
    ] {
        assert_eq!(results.receipt(receipt).await.unwrap().state, state);
    }
    let mut last = first;
    while let Some(update) = tallies.next().await {
        last = update.unwrap();
    }
    assert_eq!(last.tally, results.tally("drinks", None).await.unwrap());
    assert_eq!(last.tally.state, PollState::Final);
    assert_eq!((last.tally.voters, last.tally.withdrawn), (1, Some(1)));
    let votes: Vec<_> = last.tally.options.iter().map(|o| o.votes).collect();
    assert_eq!(votes, [0, 1]);

    let late = vote.cast("drinks", &mut voter, &["tea"]).await;
    assert_eq!(late.unwrap_err().kind(), Some("poll-closed"));
    let mut none = results.follow("no poll/here", None).unwrap();
    assert!(matches!(none.next().await, Some(Err(Error::Problem(_)))));
    assert!(none.next().await.is_none());
    let stranger = OperatorClient::new(&voting.operator, "wrong").unwrap();
    let error = stranger.poll("drinks").await.unwrap_err();
    assert_eq!(error.kind(), Some("unauthorized"));
}
