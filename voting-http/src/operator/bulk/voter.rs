//! Who the voter of a line is. It must be the same voter as at the vote service, so that nobody counts twice.

use std::sync::Arc;

use serde::Deserialize;
use voting_core::{
    Poll, VoterId,
    model::{
        code::VoterCode,
        poll::{CodeRefusal, VoterScheme, Voters},
        poll_key::{PollKey, PollKeyWrap},
    },
};

use crate::{
    edge::{
        poll_key::{self, OpenedKey},
        visitor::NoCode,
    },
    problem::{Problem, kind::ProblemKind, seldom::Seldom},
    vote::program_key::ProgramKey,
};

/// The longest name of an identity provider, and of a person there, in bytes.
const MAX_NAME: usize = 255;

/// The field `voter` of a line.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Named {
    /// A code, or a key.
    Text(String),
    Person(Person),
}

/// A person, as the identity provider names the person.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Person {
    iss: String,
    sub: String,
}

/// A poll with its key.
#[derive(Clone)]
pub(super) struct KeyedPoll {
    pub(super) poll: Arc<Poll>,
    key: Option<OpenedKey>,
}

/// Opens the keys of polls.
#[derive(Clone)]
pub(super) struct PollKeys {
    pub(super) wrap: Option<PollKeyWrap>,
    pub(super) warnings: Arc<Seldom>,
}

impl PollKeys {
    /// The poll with its key, if it has one. `known` is an earlier state of the same poll.
    ///
    /// # Errors
    /// Its voters cannot be recognised.
    pub(super) fn open(
        &self,
        poll: Arc<Poll>,
        known: Option<&KeyedPoll>,
    ) -> Result<KeyedPoll, Problem> {
        let scheme = poll.voter_scheme();
        if scheme == VoterScheme::Raw {
            return Ok(KeyedPoll { poll, key: None });
        }
        if poll.voters_are_forgotten() {
            return Err(Problem::poll_closed());
        }
        let wrapped = poll.wrapped_key();
        if let (Some(known), Some(wrapped)) = (known, wrapped)
            && let Some((same, _)) = &known.key
            && same == wrapped
        {
            let key = known.key.clone();
            return Ok(KeyedPoll { poll, key });
        }
        let key = poll_key::open(self.wrap.as_ref(), &poll, &self.warnings);
        if key.is_none() {
            return Err(Problem::new(
                ProblemKind::StoreUnavailable,
                "The voters of this poll cannot be recognised: this service lacks the poll's key, or the key that opens it.",
            ));
        }
        Ok(KeyedPoll { poll, key })
    }
}

impl KeyedPoll {
    fn key(&self) -> Option<&PollKey> {
        self.key.as_ref().map(|(_, key)| &**key)
    }

    /// The id under which the voter of a line votes.
    ///
    /// # Errors
    /// The line names nobody who may vote here.
    pub(super) fn voter(&self, named: &Named) -> Result<VoterId, Problem> {
        let poll = &self.poll;
        let scheme = poll.voter_scheme();
        match (scheme, self.key(), named) {
            (VoterScheme::Code, Some(key), Named::Text(code)) => {
                let read = code.parse::<VoterCode>().map_err(|_| CodeRefusal::Wrong);
                let checked = read.and_then(|code| {
                    poll.codes().check(&code, key)?;
                    Ok(code.serial())
                });
                let serial = checked.map_err(|why| Problem::from(NoCode::Refused(why)))?;
                Ok(key.holder(serial))
            }
            (VoterScheme::Login, Some(key), Named::Person(Person { iss, sub })) => {
                for (name, text) in [("iss", iss), ("sub", sub)] {
                    if text.is_empty() || text.len() > MAX_NAME {
                        return Err(Problem::invalid(format!(
                            "voter.{name}: it must have 1 to {MAX_NAME} bytes."
                        )));
                    }
                }
                Ok(key.login(iss, sub))
            }
            (VoterScheme::Pseudonym | VoterScheme::Raw, key, Named::Text(text)) => {
                let program = ProgramKey::check(text.as_bytes()).map_err(|why| {
                    Problem::invalid(format!(
                        "voter: it must be a key with at least 128 random bits: {}. This one is not taken: {why}.",
                        ProgramKey::RIGHT
                    ))
                })?;
                Ok(match key {
                    Some(key) => key.program(program.as_bytes()),
                    None => program.voter(poll.id()),
                })
            }
            _ => Err(Problem::invalid(match poll.settings().voters {
                Voters::Codes => "voter: in this poll it must be a code, as a text.",
                Voters::Identity => {
                    "voter: in this poll it must be an object with iss and sub, the names of the identity provider and of the \
                     person."
                }
                _ => "voter: in this poll it must be a key of the voter, as a text.",
            })),
        }
    }
}
