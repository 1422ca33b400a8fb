//! Polls in which only certain people may vote: by their codes, or since they have signed in. Each person votes over and
//! over, through all vote services.

use std::{fs, io, path::Path, sync::Arc};

use serde_json::json;
use voting_core::{
    PollDirectory, SecretKey,
    backends::postgres::{Postgres, PostgresOptions},
    model::{
        ballot::VoterId,
        poll_key::{PollKey, PollKeyWrap},
    },
};
use voting_load::Elector;
use voting_testing::{ENTRY_KEY, Operator, ProviderKey, TOKEN, agent};

use crate::{addresses::Addresses, ask, error::RunError};

/// The poll with codes.
pub(crate) const CODES: &str = "codes";

/// The poll whose voters sign in.
pub(crate) const LOGINS: &str = "logins";

/// The people of each.
const PEOPLE: u32 = 100;

const ISSUER: &str = "https://id.test";
const AUDIENCE: &str = "voting";

/// The identity provider that the vote services trust.
#[derive(Debug)]
pub(crate) struct Provider {
    key: ProviderKey,
    file: String,
}

impl Provider {
    /// Writes its keys into this folder.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) fn in_folder(folder: &Path) -> io::Result<Self> {
        let (key, file) = (ProviderKey::new("torture"), folder.join("keys.json"));
        fs::write(&file, ProviderKey::set(&[&key]).to_string())?;
        let file = file.to_string_lossy().into_owned();
        Ok(Self { key, file })
    }

    /// What the services are told of it.
    pub(crate) fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("VOTING_LOGIN__ISSUER", ISSUER.to_owned()),
            ("VOTING_LOGIN__AUDIENCE", AUDIENCE.to_owned()),
            ("VOTING_LOGIN__JWKS_FILE", self.file.clone()),
        ]
    }
}

/// Adds one of these polls. `None` if it is another one.
pub(crate) fn add_poll(worker: &str, poll: &str) -> Option<Option<()>> {
    let voters = match poll {
        CODES => "codes",
        LOGINS => "identity",
        _ => return None,
    };
    Some(add(worker, poll, voters))
}

/// Adds a poll of two options, `a` and `b`, for these voters.
pub(crate) fn add(worker: &str, poll: &str, voters: &str) -> Option<()> {
    let options = json!([{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]);
    let body = json!({"id": poll, "title": poll, "options": options, "voters": voters});
    let answer = Operator::new(worker, TOKEN).post_json("polls", &body).ok();
    answer.and_then(|answer| answer.status().is_success().then_some(()))
}

/// Issues the codes, and signs the people in. The electors of the two polls.
pub(crate) async fn electors(
    provider: &Arc<Provider>,
    addresses: &Addresses,
    postgres: &str,
) -> Result<[Vec<Elector>; 2], RunError> {
    let worker = addresses.workers[0].clone();
    let issued = move || issue(&worker, CODES, PEOPLE).ok_or(RunError::Never("codes are issued"));
    blocking(issued).await?;
    let (codes, logins) = (
        key_of(CODES, postgres).await?,
        key_of(LOGINS, postgres).await?,
    );
    let (provider, votes) = (Arc::clone(provider), addresses.votes.clone());
    blocking(move || {
        let with_codes = (0..PEOPLE).map(|serial| Elector {
            voter: id(codes.holder(serial)),
            header: "voter-code",
            credential: codes.codes().code(serial, 0).to_string(),
        });
        let with_codes: Vec<_> = with_codes.collect();
        let mut signed_in = Vec::new();
        for (person, vote) in (0..PEOPLE).zip(votes.iter().cycle()) {
            let person = format!("person {person}");
            let session = ask::until(|| sign_in(&provider, vote, &person));
            signed_in.push(Elector {
                voter: id(logins.login(ISSUER, &person)),
                header: "cookie",
                credential: session.ok_or(RunError::Never("people sign in"))?,
            });
        }
        for vote in &votes {
            let known = ask::until(|| may_vote(vote, CODES, with_codes.last()?));
            known.ok_or(RunError::Never("a vote service knows the codes"))?;
        }
        Ok([with_codes, signed_in])
    })
    .await
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RunError> + Send + 'static,
) -> Result<T, RunError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other)?
}

/// Issues so many codes of a poll.
pub(crate) fn issue(worker: &str, poll: &str, count: u32) -> Option<()> {
    let count = json!({"count": count});
    let operator = Operator::new(worker, TOKEN);
    let issued = operator.post_json(&format!("polls/{poll}/codes"), &count);
    issued.ok()?.status().is_success().then_some(())
}

/// The key of a poll.
///
/// # Errors
/// It cannot be read.
pub(crate) async fn key_of(poll: &str, postgres: &str) -> Result<PollKey, RunError> {
    let store = Postgres::new(postgres, PostgresOptions::default()).map_err(io::Error::other)?;
    let found = async {
        let poll = store.poll(&poll.parse().ok()?).await.ok()??;
        let secret = SecretKey::new(ENTRY_KEY.as_bytes()).ok()?;
        let wrap = PollKeyWrap::new(&secret);
        wrap.open(poll.id(), poll.wrapped_key()?).ok()
    };
    let found = found.await;
    found.ok_or(RunError::Never("the key of a poll is read"))
}

fn id(voter: VoterId) -> u128 {
    u128::from_be_bytes(voter.to_bytes())
}

/// The cookie of the session.
fn sign_in(provider: &Provider, vote: &str, person: &str) -> Option<String> {
    let token = provider.key.token(ISSUER, AUDIENCE, person);
    let asked = agent()
        .post(format!("{vote}/v1/session"))
        .header("authorization", format!("Bearer {token}"))
        .content_type("application/json");
    let answer = asked.send(json!({"poll": LOGINS}).to_string()).ok()?;
    let cookie = answer.headers().get("set-cookie")?.to_str().ok()?;
    cookie.split(';').next().map(str::to_owned)
}

/// Whether a vote service knows that an elector may vote.
pub(crate) fn may_vote(vote: &str, poll: &str, elector: &Elector) -> Option<()> {
    let asked = agent()
        .get(format!("{vote}/v1/polls/{poll}/eligibility"))
        .header(elector.header, &elector.credential)
        .call();
    let answer = asked.ok()?.body_mut().read_to_string().ok()?;
    let answer: serde_json::Value = serde_json::from_str(&answer).ok()?;
    (answer["eligible"] == true).then_some(())
}
