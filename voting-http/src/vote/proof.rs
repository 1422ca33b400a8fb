//! What a new voter shows when very many come: the solution of a challenge (ALTCHA's proof of work, version 2), or that the
//! form has waited.
//!
//! Both are bound to the poll and to the voter's id. So neither makes a second voter, however often and at whichever vote
//! service it is shown, and nobody has to remember it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use altcha::{
    Challenge, CreateChallengeOptions, Payload, VerifySolutionOptions, create_challenge,
    verify_solution,
};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use poem::Request;
use voting_core::{Poll, PollId, SecretKey, VoterId, model::secret::MacKey};

use super::VoteService;
use crate::{edge::visitor::Visitor, problem::Problem};

/// The header with a solution, in the API.
pub(super) const PROOF_HEADER: &str = "voter-proof";

/// The field of a form with a time stamp or a solution.
pub(super) const PROOF_FIELD: &str = "proof";

/// How long a solution is accepted after its challenge was made.
const SOLVED_WITHIN: Duration = Duration::from_secs(10 * 60);

/// How long a form can be sent after its wait is over.
const SENT_WITHIN: Duration = Duration::from_secs(30 * 60);

/// The longest text that is read, in bytes.
const MOST: usize = 4_096;

/// What a time stamp begins with. The solutions of challenges do not begin so.
const WAITED: &str = "waited.";

const ASK: &str = "Very many people vote here for the first time just now. Send the ballot again with the solution of the challenge \
     in this answer, in the header Voter-Proof, and with the cookie that came with this answer or the same \
     Idempotency-Key.";

const WRONG: &str = "The proof of work is not that of this voter for this poll. Solve the challenge in this answer, and send the ballot \
     again as the same voter.";

const EXPIRED: &str =
    "The proof of work is too old. Solve the challenge in this answer, and send the ballot again.";

const TOO_EARLY: &str = "The form was sent too early. Solve the challenge in this answer, or wait.";

/// Makes challenges and time stamps, and reads them back.
pub(super) struct Proofs {
    challenges: MacKey,
    stamps: MacKey,
}

/// Why a text is not a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoProof {
    /// It is no solution, or one of another voter or poll.
    Wrong,
    /// It is too old.
    Expired,
    /// The form must wait so much longer.
    TooEarly(Duration),
}

impl Proofs {
    pub(super) fn new(secret: &SecretKey) -> Self {
        Self {
            challenges: secret.derive("proofs of work 1"),
            stamps: secret.derive("forms that wait 1"),
        }
    }

    /// A challenge for this voter in this poll, which takes up to so many attempts, and half of them on average. `None`
    /// if it cannot be made.
    pub(super) fn challenge(
        &self,
        poll: &PollId,
        voter: VoterId,
        attempts: u32,
    ) -> Option<Challenge> {
        let expires = unix(SystemTime::now() + SOLVED_WITHIN);
        let challenge = create_challenge(CreateChallengeOptions {
            algorithm: "SHA-256".to_owned(),
            cost: 1,
            counter: Some(getrandom::u32().ok()? % attempts.max(1)),
            expires_at: i64::try_from(expires).ok(),
            hmac_signature_secret: Some(self.signature_key(poll, voter)),
            ..CreateChallengeOptions::default()
        });
        challenge
            .inspect_err(|error| tracing::error!(%error, "could not make a challenge"))
            .ok()
    }

    /// A text that shows that a form has waited, from this moment on.
    pub(super) fn stamp(&self, poll: &PollId, voter: VoterId, from: SystemTime) -> String {
        let from = unix(from);
        let tag = self.stamps.tag(&message(poll, voter, from));
        format!("{WAITED}{from}.{}", BASE64URL_NOPAD.encode(&tag))
    }

    /// Whether this text was earned by this voter in this poll.
    pub(super) fn check(&self, given: &str, poll: &PollId, voter: VoterId) -> Result<(), NoProof> {
        if given.len() > MOST {
            return Err(NoProof::Wrong);
        }
        match given.strip_prefix(WAITED) {
            Some(stamp) => self.check_stamp(stamp, poll, voter, SystemTime::now()),
            None => self.check_solution(given, poll, voter),
        }
    }

    fn check_solution(&self, given: &str, poll: &PollId, voter: VoterId) -> Result<(), NoProof> {
        let given = BASE64.decode(given.as_bytes());
        let given = given.map_err(|_| NoProof::Wrong)?;
        let given: Payload = serde_json::from_slice(&given).map_err(|_| NoProof::Wrong)?;
        // The signature is checked before anything that the text says is done.
        let key = self.signature_key(poll, voter);
        let options = VerifySolutionOptions::new(&given.challenge, &given.solution, key);
        match verify_solution(options) {
            Ok(result) if result.verified => Ok(()),
            Ok(result) if result.expired => Err(NoProof::Expired),
            _ => Err(NoProof::Wrong),
        }
    }

    fn check_stamp(
        &self,
        stamp: &str,
        poll: &PollId,
        voter: VoterId,
        now: SystemTime,
    ) -> Result<(), NoProof> {
        let (from, tag) = stamp.split_once('.').ok_or(NoProof::Wrong)?;
        let tag = BASE64URL_NOPAD.decode(tag.as_bytes()).ok();
        let tag: [u8; 16] = tag
            .and_then(|tag| tag.try_into().ok())
            .ok_or(NoProof::Wrong)?;
        let from: u64 = from.parse().map_err(|_| NoProof::Wrong)?;
        if !self.stamps.verify(&message(poll, voter, from), &tag) {
            return Err(NoProof::Wrong);
        }
        let now = unix(now);
        if now < from {
            Err(NoProof::TooEarly(Duration::from_secs(from - now)))
        } else if now - from > SENT_WITHIN.as_secs() {
            Err(NoProof::Expired)
        } else {
            Ok(())
        }
    }

    /// The key that signs the challenges of one voter in one poll.
    fn signature_key(&self, poll: &PollId, voter: VoterId) -> String {
        HEXLOWER.encode(&self.challenges.tag(&message(poll, voter, 0)))
    }
}

impl VoteService {
    /// Whether the voter shows a proof.
    ///
    /// # Errors
    /// There is none. The problem has a challenge for this voter.
    pub(super) fn check_proof(
        &self,
        poll: &Poll,
        visitor: Visitor,
        given: Option<&str>,
    ) -> Result<(), Problem> {
        let (proofs, voter) = (&self.0.proofs, visitor.id());
        let why = match given.map(|given| proofs.check(given, poll.id(), voter)) {
            Some(Ok(())) => return Ok(()),
            None => ASK,
            Some(Err(NoProof::Wrong)) => WRONG,
            Some(Err(NoProof::Expired)) => EXPIRED,
            Some(Err(NoProof::TooEarly(_))) => TOO_EARLY,
        };
        let asked = self.0.site.gate.proof_of_work();
        let attempts = asked.map_or(1, |asked| asked.attempts.get());
        let challenge = proofs.challenge(poll.id(), voter, attempts);
        Err(challenge.map_or_else(Problem::internal, |challenge| {
            Problem::proof_needed(why, &challenge)
        }))
    }

    /// What a page without scripts says of a voter who shows no proof, and the time stamp that its form sends after the
    /// wait. A form that was sent too early keeps its time stamp.
    pub(super) fn make_form_wait(
        &self,
        request: &Request,
        poll: &Poll,
        visitor: Visitor,
        given: Option<&str>,
    ) -> (Problem, Option<String>) {
        let (proofs, voter) = (&self.0.proofs, visitor.id());
        if let Some(given) = given
            && let Err(NoProof::TooEarly(wait)) = proofs.check(given, poll.id(), voter)
        {
            return (Problem::form_waits(Some(wait)), Some(given.to_owned()));
        }
        let wait = self.0.site.gate.wait(request, poll.id());
        let stamp = wait.map(|wait| proofs.stamp(poll.id(), voter, SystemTime::now() + wait));
        (Problem::form_waits(wait), stamp)
    }
}

/// The proof in the header of a request.
pub(super) fn of_header(request: &Request) -> Option<&str> {
    let given = request.headers().get(PROOF_HEADER)?;
    // What is no text is no proof either.
    Some(given.to_str().unwrap_or_default())
}

/// The voter's id has a fixed length, and the number, too, so no two of these are alike.
fn message(poll: &PollId, voter: VoterId, number: u64) -> Vec<u8> {
    let poll = poll.as_str().as_bytes();
    [&voter.to_bytes()[..], &number.to_be_bytes(), poll].concat()
}

fn unix(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use altcha::{SolveChallengeOptions, solve_challenge};

    use super::*;

    fn proofs() -> Proofs {
        Proofs::new(&SecretKey::new([7; 32]).unwrap())
    }

    fn poll(id: &str) -> PollId {
        id.parse().unwrap()
    }

    /// What a program answers to a challenge.
    fn solved(challenge: Challenge) -> String {
        let solution = solve_challenge(SolveChallengeOptions::new(&challenge))
            .unwrap()
            .unwrap();
        let payload = Payload {
            challenge,
            solution,
        };
        BASE64.encode(&serde_json::to_vec(&payload).unwrap())
    }

    #[test]
    fn a_solution_is_taken_of_its_voter_in_its_poll_only() {
        let (proofs, ours, voter) = (proofs(), poll("ours"), VoterId::issue());
        let solution = solved(proofs.challenge(&ours, voter, 1_000).unwrap());
        assert_eq!(proofs.check(&solution, &ours, voter), Ok(()));
        assert_eq!(
            proofs.check(&solution, &ours, VoterId::issue()),
            Err(NoProof::Wrong)
        );
        assert_eq!(
            proofs.check(&solution, &poll("other"), voter),
            Err(NoProof::Wrong)
        );
        let stranger = Proofs::new(&SecretKey::new([8; 32]).unwrap());
        assert_eq!(stranger.check(&solution, &ours, voter), Err(NoProof::Wrong));
        // Another vote service with the same secret takes it.
        assert_eq!(self::proofs().check(&solution, &ours, voter), Ok(()));
    }

    #[test]
    fn what_is_no_solution_is_refused_and_so_is_an_easier_challenge() {
        let (proofs, ours, voter) = (proofs(), poll("ours"), VoterId::issue());
        let challenge = proofs.challenge(&ours, voter, 1_000_000).unwrap();
        let encoded = |payload: &Payload| BASE64.encode(&serde_json::to_vec(payload).unwrap());
        let mut easier = challenge.clone();
        easier.parameters.key_prefix = "00".to_owned();
        let mut longer = challenge.clone();
        longer.parameters.expires_at = Some(4_000_000_000);
        let mut unsigned = challenge.clone();
        unsigned.signature = None;
        let guessed = Payload {
            solution: altcha::Solution {
                counter: 7,
                derived_key: challenge.parameters.key_prefix.clone(),
                time: None,
            },
            challenge,
        };
        for text in [
            String::new(),
            "eyJ9".to_owned(),
            "é".to_owned(),
            "A".repeat(10_000),
            BASE64.encode(b"{}"),
            encoded(&guessed),
            solved(easier),
        ] {
            assert_eq!(
                proofs.check(&text, &ours, voter),
                Err(NoProof::Wrong),
                "{text}"
            );
        }
        for challenge in [longer, unsigned] {
            let payload = Payload {
                challenge,
                ..guessed.clone()
            };
            assert_eq!(
                proofs.check(&encoded(&payload), &ours, voter),
                Err(NoProof::Wrong)
            );
        }
    }

    #[test]
    fn a_form_that_has_waited_is_taken_for_a_while() {
        let (proofs, ours, voter) = (proofs(), poll("ours"), VoterId::issue());
        let now = SystemTime::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let stamp = proofs.stamp(&ours, voter, after(20));
        let stamp = stamp.strip_prefix(WAITED).unwrap();
        let check = |seconds| proofs.check_stamp(stamp, &ours, voter, after(seconds));
        assert_eq!(check(0), Err(NoProof::TooEarly(Duration::from_secs(20))));
        assert_eq!(check(19), Err(NoProof::TooEarly(Duration::from_secs(1))));
        assert_eq!([check(20), check(20 + 1_800)], [Ok(()); 2]);
        assert_eq!(check(20 + 1_801), Err(NoProof::Expired));
        for (poll, voter) in [(&poll("other"), voter), (&ours, VoterId::issue())] {
            let other = proofs.check_stamp(stamp, poll, voter, after(20));
            assert_eq!(other, Err(NoProof::Wrong));
        }
        let (from, tag) = stamp.split_once('.').unwrap();
        let sooner = format!("{}.{tag}", from.parse::<u64>().unwrap() - 20);
        for forged in [
            &sooner,
            from,
            "",
            ".",
            &format!("{from}."),
            &format!("x.{tag}"),
        ] {
            let refused = proofs.check_stamp(forged, &ours, voter, after(20));
            assert_eq!(refused, Err(NoProof::Wrong), "{forged}");
        }
    }
}
