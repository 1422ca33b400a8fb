//! A poll with codes whose votes are voided, and count again, while everything fails. Its voters vote all the while.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::sleep,
    time::Duration,
};

use fastrand::Rng;
use serde_json::{Value, json};
use voting_core::model::{moment::Moment, poll_key::PollKey};
use voting_load::Elector;
use voting_testing::{Operator, PostgresServer, TOKEN, agent_within};

use crate::{addresses::Addresses, ask, electorate, error::RunError};

/// The poll.
pub(crate) const POLL: &str = "voided";

const CODES: u32 = 60;

const OPTIONS: [&str; 2] = ["a", "b"];

/// Each has codes of its own, so that a code's ballots have an order.
const VOTERS: u32 = 3;

/// Between two ballots of a voter, and between two changes of the rules.
const BALLOT_EACH: Duration = Duration::from_millis(20);
const RULE_EACH: Duration = Duration::from_millis(400);

/// So many codes are left as they are.
const NEVER_REVOKED: u32 = 20;

/// What goes on while everything fails.
pub(crate) struct Voiding {
    stop: Arc<AtomicBool>,
    voters: Vec<tokio::task::JoinHandle<Told>>,
    operator: tokio::task::JoinHandle<Made>,
    voter_of: BTreeMap<u32, String>,
}

/// What voters were told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) acknowledged: u64,
    pub(crate) unknown: u64,
    /// Those whose ballot must be stored, with the newest choice if it is known.
    codes: BTreeMap<u32, Option<usize>>,
    /// Those with a ballot of unknown outcome: it may still be on its way when the next one is acknowledged.
    doubtful: BTreeSet<u32>,
    /// Answers that no service gives.
    wrong: Vec<String>,
}

/// What the operator has done, as far as it was told.
#[derive(Debug, Default)]
pub(crate) struct Made {
    rules: u64,
    undone: u64,
}

impl Voiding {
    /// Makes the poll, and begins.
    ///
    /// # Errors
    /// The poll or its codes cannot be made.
    pub(crate) async fn start(
        addresses: &Addresses,
        postgres: &str,
        seed: u64,
    ) -> Result<Self, RunError> {
        let worker = addresses.workers[0].clone();
        electorate::blocking(move || {
            let added = ask::until(|| electorate::add(&worker, POLL, "codes"));
            added.ok_or(RunError::Never("a poll is added"))?;
            electorate::issue(&worker, POLL, CODES).ok_or(RunError::Never("codes are issued"))
        })
        .await?;
        let key = electorate::key_of(POLL, postgres).await?;
        let codes: Vec<_> = (0..CODES).map(|serial| elector(&key, serial)).collect();
        let (votes, last) = (addresses.votes.clone(), codes[codes.len() - 1].clone());
        electorate::blocking(move || {
            for vote in &votes {
                let known = ask::until(|| electorate::may_vote(vote, POLL, &last));
                known.ok_or(RunError::Never("a vote service knows the codes"))?;
            }
            Ok(())
        })
        .await?;
        let stop = Arc::new(AtomicBool::new(false));
        let voters = (0..VOTERS).map(|nth| {
            let own = (0..CODES).filter(|serial| serial % VOTERS == nth);
            let own = own.map(|serial| (serial, codes[serial as usize].credential.clone()));
            let (own, votes): (Vec<_>, _) = (own.collect(), addresses.votes.clone());
            let (stop, rng) = (
                Arc::clone(&stop),
                Rng::with_seed(seed.wrapping_add(nth.into())),
            );
            tokio::task::spawn_blocking(move || vote_on(&votes, &own, rng, &stop))
        });
        let voters = voters.collect();
        let (workers, told) = (addresses.workers.clone(), Arc::clone(&stop));
        let operator =
            tokio::task::spawn_blocking(move || void_on(&workers, Rng::with_seed(seed), &told));
        let voter_of = (0..CODES).map(|serial| {
            let voter = key.holder(serial).to_bytes();
            (serial, format!("{:032x}", u128::from_be_bytes(voter)))
        });
        Ok(Self {
            stop,
            voters,
            operator,
            voter_of: voter_of.collect(),
        })
    }

    /// Ends the voting and the voiding.
    ///
    /// # Errors
    /// A part of it has panicked.
    pub(crate) async fn end(self) -> Result<Ended, RunError> {
        self.stop.store(true, Relaxed);
        let mut told = Told::default();
        for voter in self.voters {
            let its = voter.await.map_err(io::Error::other)?;
            told.acknowledged += its.acknowledged;
            told.unknown += its.unknown;
            told.codes.extend(its.codes);
            told.wrong.extend(its.wrong);
        }
        let made = self.operator.await.map_err(io::Error::other)?;
        Ok(Ended {
            told,
            made,
            voter_of: self.voter_of,
        })
    }
}

fn elector(key: &PollKey, serial: u32) -> Elector {
    Elector {
        voter: u128::from_be_bytes(key.holder(serial).to_bytes()),
        header: "voter-code",
        credential: key.codes().code(serial, 0).to_string(),
    }
}

/// Votes with these codes over and over, one ballot after the other.
fn vote_on(votes: &[String], codes: &[(u32, String)], mut rng: Rng, stop: &AtomicBool) -> Told {
    let mut told = Told::default();
    let agent = agent_within(Duration::from_secs(3));
    while !stop.load(Relaxed) {
        let (serial, code) = &codes[rng.usize(..codes.len())];
        let vote = &votes[rng.usize(..votes.len())];
        let choice = rng.usize(..OPTIONS.len());
        let ballot = agent
            .put(format!("{vote}/v1/polls/{POLL}/ballot"))
            .header("voter-code", code)
            .content_type("application/json")
            .send(json!({"choices": [OPTIONS[choice]]}).to_string());
        let answer = ballot.ok().and_then(|mut answer| {
            let status = answer.status().as_u16();
            Some((status, answer.body_mut().read_to_string().ok()?))
        });
        match answer {
            Some((202, _)) => {
                told.acknowledged += 1;
                let newest = (!told.doubtful.contains(serial)).then_some(choice);
                told.codes.insert(*serial, newest);
            }
            Some((503, why)) if !why.contains("outcome-unknown") => {}
            // Revoked, or a vote service that has just begun has not heard of the poll.
            Some((403 | 404, _)) => {}
            None | Some((503, _)) => {
                told.unknown += 1;
                told.doubtful.insert(*serial);
                told.codes
                    .entry(*serial)
                    .and_modify(|newest| *newest = None);
            }
            Some(other) => told.wrong.push(format!("{POLL}: {other:?}")),
        }
        sleep(BALLOT_EACH);
    }
    told
}

/// Makes rules and undoes them. An answer that does not come says nothing: the store has the rules.
fn void_on(workers: &[String], mut rng: Rng, stop: &AtomicBool) -> Made {
    let mut made = Made::default();
    let path = format!("polls/{POLL}/voidings");
    while !stop.load(Relaxed) {
        sleep(RULE_EACH);
        let worker = &workers[rng.usize(..workers.len())];
        let operator = Operator::new(worker, TOKEN).within(Duration::from_secs(5));
        if rng.u32(..3) == 0 {
            let rules = operator.get(&path).unwrap_or_default();
            let rules = rules["voidings"].as_array().cloned().unwrap_or_default();
            // Some stay.
            if rules.len() > 3 {
                let number = &rules[rng.usize(..rules.len())]["number"];
                let undo = agent_within(Duration::from_secs(5))
                    .delete(format!("{worker}/v1/{path}/{number}"))
                    .header("authorization", format!("Bearer {TOKEN}"))
                    .call();
                made.undone += u64::from(undo.is_ok_and(|answer| answer.status().is_success()));
            }
            continue;
        }
        let rule = if rng.bool() {
            let until = Moment::now();
            let from = Moment::from_unix_ms(until.unix_ms() - rng.u64(100..3_000));
            let from = from.unwrap_or(until);
            json!({"from": from.to_string(), "until": until.to_string(), "reason": "span"})
        } else {
            let serial = rng.u32(NEVER_REVOKED..CODES);
            // If it is not revoked, the rule is refused.
            drop(operator.post(&format!("polls/{POLL}/codes/{serial}/revoke")));
            json!({"codes": [{"serial": serial}], "reason": format!("codes {serial}")})
        };
        let answer = operator.post_json(&path, &rule);
        made.rules += u64::from(answer.is_ok_and(|answer| answer.status().is_success()));
    }
    made
}

/// What there was, once it is over.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) told: Told,
    made: Made,
    voter_of: BTreeMap<u32, String>,
}

/// A ballot in the store.
#[derive(Debug)]
struct Stored {
    ms: u64,
    choices: u64,
    is_voided: bool,
}

/// The rules that hold.
#[derive(Debug, Default)]
struct Rules {
    spans: Vec<(u64, u64)>,
    serials: BTreeSet<u32>,
}

impl Rules {
    fn read(voidings: &Value) -> Option<Self> {
        let mut rules = Self::default();
        for rule in voidings["voidings"].as_array()? {
            let moment = |name: &str| -> Option<u64> {
                Some(rule[name].as_str()?.parse::<Moment>().ok()?.unix_ms())
            };
            match rule["reason"].as_str()?.strip_prefix("codes ") {
                Some(serial) => {
                    rules.serials.insert(serial.parse().ok()?);
                }
                None => rules.spans.push((moment("from")?, moment("until")?)),
            }
        }
        Some(rules)
    }

    fn void(&self, serial: u32, ms: u64) -> bool {
        let in_span = |&(from, until): &(u64, u64)| (from..until).contains(&ms);
        self.serials.contains(&serial) || self.spans.iter().any(in_span)
    }
}

impl Ended {
    /// What was done, in a line.
    pub(crate) fn line(&self) -> String {
        let (told, made) = (&self.told, &self.made);
        format!(
            "votes were voided by {} rules, of which {} were undone: {} ballots acknowledged, {} of unknown outcome",
            made.rules, made.undone, told.acknowledged, told.unknown
        )
    }

    /// What is wrong with the ballots in the store, and with what the worker says of them. All ballots are counted.
    pub(crate) fn judge(&self, worker: &str, postgres: &str) -> Vec<String> {
        let mut wrong = self.told.wrong.clone();
        if self.told.acknowledged == 0 || self.made.rules == 0 {
            wrong.push(format!("{POLL}: nothing came of it: {:?}", self.made));
        }
        let operator = Operator::new(worker, TOKEN);
        let voidings = ask::until(|| operator.get(&format!("polls/{POLL}/voidings")));
        let voidings = voidings.unwrap_or_default();
        let recount = ask::until(|| ask::recount(worker, POLL)).unwrap_or_default();
        let rows = format!(
            "SELECT replace(b.voter::text, '-', ''), b.ms, COALESCE(b.voided, b.choices), (b.voided IS NOT NULL)::int \
             FROM ballots b JOIN polls p ON p.key = b.poll WHERE p.id = '{POLL}'"
        );
        let (Some(rules), Ok(rows)) =
            (Rules::read(&voidings), PostgresServer::sql(postgres, &rows))
        else {
            wrong.push(format!("{POLL}: the ballots or rules cannot be read"));
            return wrong;
        };
        let stored: BTreeMap<_, _> = rows.lines().filter_map(row).collect();
        wrong.extend(self.compare(&rules, &stored));
        let (count, voided) = (
            stored.values().filter(|ballot| !ballot.is_voided).count(),
            stored.values().filter(|ballot| ballot.is_voided).count(),
        );
        if recount["agrees"] != true || recount["kept"]["voters"] != json!(count) {
            wrong.push(format!("{POLL}: {count} ballots count: {recount}"));
        }
        if voidings["voters"] != json!(count) || voidings["voided"] != json!(voided) {
            wrong.push(format!("{POLL}: {count} and {voided}: {voidings}"));
        }
        wrong
    }

    fn compare(&self, rules: &Rules, stored: &BTreeMap<&str, Stored>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (serial, voter) in &self.voter_of {
            let newest = self.told.codes.get(serial);
            match (stored.get(voter.as_str()), newest) {
                (None, Some(_)) => wrong.push(format!("{POLL}: code {serial} has no ballot")),
                (Some(ballot), newest) => {
                    if ballot.is_voided != rules.void(*serial, ballot.ms) {
                        wrong.push(format!("{POLL}: code {serial}: {ballot:?}, by {rules:?}"));
                    }
                    if let Some(Some(choice)) = newest
                        && ballot.choices != 1 << choice
                    {
                        wrong.push(format!("{POLL}: code {serial}: {ballot:?}, not {choice}"));
                    }
                }
                (None, None) => {}
            }
        }
        wrong
    }
}

fn row(line: &str) -> Option<(&str, Stored)> {
    let mut fields = line.split('|');
    let voter = fields.next()?;
    let mut number = || fields.next()?.parse().ok();
    let stored = Stored {
        ms: number()?,
        choices: number()?,
        is_voided: number()? == 1,
    };
    Some((voter, stored))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ballots_that_are_voided_or_count_against_the_rules_are_found() {
        let rules = json!({"voidings": [
            {"number": 1, "reason": "span", "from": "1970-01-01T00:00:05Z", "until": "1970-01-01T00:00:07Z"},
            {"number": 3, "reason": "codes 2", "codes": 1},
        ]});
        let rules = Rules::read(&rules).expect("rules");
        let ended = |choice| Ended {
            told: Told {
                codes: BTreeMap::from([(1, choice), (2, None)]),
                ..Told::default()
            },
            made: Made::default(),
            voter_of: BTreeMap::from([(1, "aa".to_owned()), (2, "bb".to_owned())]),
        };
        for (rows, choice, found) in [
            ("aa|4999|1|0\nbb|9000|1|1", Some(0), None),
            ("aa|5000|2|1\nbb|9000|1|1", Some(1), None),
            ("aa|7000|2|0\nbb|9000|1|1", None, None),
            ("aa|6999|1|0\nbb|9000|1|1", Some(0), Some("code 1: Stored")),
            ("aa|7000|1|1\nbb|9000|1|1", Some(0), Some("code 1: Stored")),
            ("aa|4999|1|0\nbb|9000|1|0", Some(0), Some("code 2: Stored")),
            ("aa|4999|2|0\nbb|9000|1|1", Some(0), Some("not 0")),
            ("aa|4999|1|0", Some(0), Some("code 2 has no ballot")),
        ] {
            let stored = rows.lines().filter_map(row).collect();
            let wrong = ended(choice).compare(&rules, &stored).join("; ");
            match found {
                Some(found) => assert!(wrong.contains(found), "{rows}: {wrong}"),
                None => assert_eq!(wrong, "", "{rows}"),
            }
        }
    }
}
