//! Forged codes, cookies, sessions, receipts and grants: all are refused, however many are tried.

use data_encoding::BASE64URL_NOPAD;
use poem::Request;
use sha2::{Digest, Sha256};
use voting_core::{
    Poll, Receipt, SecretKey, VoterId,
    model::{
        code::VoterCode,
        moment::Moment,
        poll::{ChangeTo, CodeChange, PollChange, PollSettings, Voters, change},
        poll_key::PollKeyWrap,
        position::{EntryId, Position, ShardId},
        secrets::Secrets,
    },
};

use super::{
    electors::{Electors, Holder},
    login::LoginCheck,
    logins::Logins,
};
use crate::tokens::{grant::GrantKey, receipt_key::ReceiptKey, signed::VoterKey};

/// How many codes are issued: so many that a forger often finds a valid serial number.
const CODES: u32 = 1_000_000;

/// The characters of a code.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Numbers without a pattern that are the same each time.
struct Chance(u64);

impl Chance {
    fn bytes(&mut self) -> [u8; 32] {
        self.0 += 1;
        Sha256::digest(self.0.to_be_bytes()).into()
    }

    fn below(&mut self, limit: usize) -> usize {
        let [a, b, c, d, ..] = self.bytes();
        u32::from_be_bytes([a, b, c, d]) as usize % limit
    }

    /// A token that is as long as a valid one, made in one of three ways: of random bytes, of the valid one with a changed
    /// bit, or shortened.
    fn forge(&mut self, valid: &str, round: u64) -> String {
        let mut bytes = BASE64URL_NOPAD.decode(valid.as_bytes()).expect("a token");
        match round % 3 {
            0 => {
                let random = (0..bytes.len().div_ceil(32)).flat_map(|_| self.bytes());
                bytes = random.take(bytes.len()).collect();
            }
            1 => {
                let bit = self.below(bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            _ => bytes.truncate(self.below(bytes.len())),
        }
        BASE64URL_NOPAD.encode(&bytes)
    }
}

fn secrets(current: u8, other: u8) -> Secrets {
    let secret = |byte| SecretKey::new([byte; 32]).expect("long enough");
    Secrets::new(secret(current)).reading(secret(other))
}

fn applied(stored: Option<&Poll>, to: ChangeTo) -> Poll {
    let to = PollChange::new("board".parse().expect("an id"), to);
    let changed = change(stored, &to, Moment::from_unix_ms(1).expect("a moment"));
    changed.expect("changed").poll.expect("the poll")
}

fn poll(wrap: &PollKeyWrap) -> Poll {
    let mut settings = PollSettings::default();
    settings.voters = Voters::Codes;
    let poll = Poll::builder("board", "Who?").option("a", "A");
    let poll = poll.option("b", "B").settings(settings).build();
    let poll = poll.expect("a poll");
    let key = wrap.make(poll.id()).expect("random bytes");
    let poll = applied(None, ChangeTo::New(Box::new(poll.with_key(key))));
    applied(Some(&poll), ChangeTo::Codes(CodeChange::Issue(CODES)))
}

fn with(name: &str, value: &str) -> Request {
    let cookie = format!("{name}={value}");
    Request::builder().header("cookie", cookie).finish()
}

fn split(set: &str) -> (&str, &str) {
    let cookie = set.split(';').next().expect("a cookie");
    cookie.split_once('=').expect("a value")
}

/// Tries so many of each kind, while two secrets are read. As many again are valid under a third secret.
fn refuses(tries: u64) {
    let wrap = PollKeyWrap::new(&SecretKey::new([9; 32]).expect("long enough"));
    let poll = poll(&wrap);
    let key = poll
        .wrapped_key()
        .and_then(|key| wrap.open(poll.id(), key).ok());
    let key = key.expect("the poll's key");
    let (ours, theirs) = (secrets(1, 2), secrets(3, 3));
    let voters = VoterKey::new(&ours);
    let receipts = ReceiptKey::new(&ours);
    let grants = GrantKey::new(&ours);
    let electors = Electors::new(&ours, Some(wrap.clone()), true);
    let logins = LoginCheck::new(&ours, Logins::default(), true);
    let (their_voters, their_receipts) = (VoterKey::new(&theirs), ReceiptKey::new(&theirs));
    let their_grants = GrantKey::new(&theirs);
    let their_electors = Electors::new(&theirs, Some(wrap), true);
    let their_logins = LoginCheck::new(&theirs, Logins::default(), true);

    let (nobody, now) = (Request::builder().finish(), Moment::now());
    let mut chance = Chance(0);
    let mut refused = 0_u64;
    for round in 0..tries {
        let voter = VoterId::issue();
        let serial = u32::try_from(chance.below(CODES as usize)).expect("a serial number");
        let holder = Holder {
            serial,
            generation: 0,
        };
        let receipt = Receipt {
            poll: poll.id().clone(),
            voter,
            position: Position::new(ShardId(0), EntryId::new(round + 1, 0).expect("an id"), 0),
        };

        // The valid ones are taken: so the forged ones are refused for what is wrong with them.
        let token = voters.seal(voter);
        assert_eq!(voters.open(token.as_bytes()), Ok(voter));
        let forged = [chance.forge(&token, round), their_voters.seal(voter)];
        refused += forged
            .iter()
            .filter(|token| voters.open(token.as_bytes()).is_err())
            .count() as u64;

        let text = receipts.seal(&receipt);
        assert_eq!(receipts.open(&text).as_ref(), Ok(&receipt));
        let forged = format!("2.{}", chance.forge(&text[2..], round));
        let forged = [forged, their_receipts.seal(&receipt)];
        refused += forged
            .iter()
            .filter(|text| receipts.open(text).is_err())
            .count() as u64;

        let grant = grants.issue(poll.id(), now);
        assert!(grants.is_valid(&grant, poll.id(), now));
        let forged = [
            chance.forge(&grant, round),
            their_grants.issue(poll.id(), now),
        ];
        let is_refused = |grant: &&String| !grants.is_valid(grant, poll.id(), now);
        refused += forged.iter().filter(is_refused).count() as u64;

        let cookie = electors.cookie(&nobody, poll.id(), holder);
        let (name, value) = split(&cookie);
        assert_eq!(electors.of_cookie(&with(name, value), &poll), Ok(holder));
        let stranger = their_electors.cookie(&nobody, poll.id(), holder);
        let forged = [chance.forge(value, round), split(&stranger).1.to_owned()];
        let is_refused = |value: &&String| electors.of_cookie(&with(name, value), &poll).is_err();
        refused += forged.iter().filter(is_refused).count() as u64;

        let session = logins.open(&nobody, &poll, voter);
        let (name, value) = split(&session.cookie);
        assert_eq!(logins.of_cookie(&with(name, value), &poll), Ok(voter));
        let stranger = their_logins.open(&nobody, &poll, voter);
        let forged = [
            chance.forge(value, round),
            split(&stranger.cookie).1.to_owned(),
        ];
        let is_refused = |value: &&String| logins.of_cookie(&with(name, value), &poll).is_err();
        refused += forged.iter().filter(is_refused).count() as u64;

        let code = key.codes().code(serial, 0);
        assert_eq!(poll.codes().check(&code, &key), Ok(0));
        let mut one_off: Vec<u8> = code.to_string().into_bytes();
        one_off.retain(|byte| *byte != b'-');
        let mut random = one_off.clone();
        let place = chance.below(one_off.len());
        one_off[place] = DIGITS[(digit(one_off[place]) + 1 + chance.below(31)) % 32];
        // Behind the serial number.
        for (place, byte) in random.iter_mut().zip(chance.bytes()).skip(7) {
            *place = DIGITS[usize::from(byte) % 32];
        }
        for forged in [one_off, random] {
            let text = String::from_utf8(forged).expect("text");
            let forged: VoterCode = text.parse().expect("a code");
            refused += u64::from(poll.codes().check(&forged, &key).is_err());
        }
    }
    assert_eq!(refused, tries * 12);
}

fn digit(byte: u8) -> usize {
    let found = DIGITS.iter().position(|digit| *digit == byte);
    found.expect("a character of a code")
}

#[test]
fn forged_codes_cookies_sessions_receipts_and_grants_are_refused() {
    refuses(600);
}

/// `cargo test --release -p voting-http --lib -- --ignored forged`
#[test]
#[ignore = "takes a minute without optimisation"]
fn a_million_of_each_are_refused() {
    refuses(1_000_000);
}
