//! The vote that a browser remembers: a session cookie for each poll. So pages can show the vote without a look-up,
//! with and without scripts. The cookie ends with the browser's session, since otherwise the next person at a shared
//! device would see the vote. The page also has a button that forgets the vote earlier.
//!
//! Each vote has its own cookie, with the vote's position in the log. Two tabs may vote at the same time, and their
//! answers may arrive in another order than their ballots. So no cookie replaces another: the one whose ballot counts is
//! shown, and the next page drops the others. It is the one with the newest position, or with the oldest where the first
//! vote counts.
//!
//! These cookies never decide what is counted. If a cookie cannot be read, or is another voter's, the page shows no
//! vote.

use std::{
    cmp::Reverse,
    iter,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use cookie::Cookie;
use data_encoding::BASE64URL_NOPAD;
use poem::{
    Request, Response,
    http::{HeaderValue, header},
};
use voting_core::{
    Choices, PollId, Receipt, SecretKey, VoterId,
    model::{
        position::{Position, ShardId},
        secret::MacKey,
        secrets::Secrets,
    },
};

use crate::tokens::sealed::SealingKey;

/// Votes are remembered for so many polls; beyond that, the oldest vote is dropped.
const MOST: usize = 20;

/// How many bytes of the poll's hash are in the cookie's name.
const NAME_LEN: usize = 9;

/// How many bytes of the vote's hash follow.
const VOTE_LEN: usize = 3;

/// The names of these cookies begin with one of these, for every poll and scheme. Over HTTPS, browsers accept a
/// cookie with the first prefix from this very host only. After a move from one scheme to the other, cookies with the
/// other prefix are still read.
const PREFIXES: [&str; 2] = ["__Host-ballot-", "ballot-"];

/// What a cookie has in place of the choices if the voter had them forgotten.
const FORGOTTEN: u64 = 0;

/// And of a blank vote, whose own code is taken by [`FORGOTTEN`]. It is no code of other choices.
const BLANK: u64 = 1 << 63 | 1;

/// Reads and writes the cookies.
#[derive(Clone)]
pub(crate) struct BallotCookies {
    current: Keys,
    /// Those of secrets that are only read.
    others: Vec<Keys>,
    secure: bool,
}

/// Of one secret.
#[derive(Clone)]
struct Keys {
    sealing: SealingKey,
    names: MacKey,
}

impl Keys {
    fn new(secret: &SecretKey) -> Self {
        Self {
            sealing: SealingKey::new(secret, "ballot cookie 1"),
            names: secret.derive("ballot cookie name 1"),
        }
    }

    /// The part of a cookie's name that stands for the poll. It depends on the secret, so that systems on one host do
    /// not overwrite each other's cookies.
    fn mark(&self, poll: &PollId) -> String {
        let tag = self.names.tag(poll.as_str().as_bytes());
        BASE64URL_NOPAD.encode(&tag[..NAME_LEN])
    }

    fn open(&self, cookie: &Cookie<'_>, voter: VoterId) -> Option<Remembered> {
        let context = [cookie.name().as_bytes(), &voter.to_bytes()];
        let opened = self.sealing.open(&context, cookie.value().as_bytes());
        Remembered::from_bytes(&opened.ok()?)
    }
}

/// The vote of this browser in a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// The choices of the last confirmed ballot; `None` if the voter had them forgotten.
    pub(crate) choices: Option<Choices>,
    /// When the vote was confirmed, in seconds since 1970, by the clock of the service that answered.
    at: u64,
    /// The position of the ballot in the log. Earlier versions did not store it.
    position: Option<Position>,
}

/// The cookies that a request brings for one poll.
pub(crate) struct Kept {
    /// The vote that counts, of those in cookies.
    pub(crate) vote: Option<Remembered>,
    /// Values of `Set-Cookie` that drop the cookies of the other votes.
    others: Vec<String>,
    /// The vote's cookie under the current secret, if the browser has it under another one only.
    renewed: Option<String>,
}

impl Kept {
    /// Whether there are cookies to drop.
    pub(super) fn has_others(&self) -> bool {
        !self.others.is_empty()
    }

    /// Gives the browser the cookie of its vote under the current secret, unless it has that.
    pub(super) fn renew(&self, answer: &mut Response) {
        if let Some(cookie) = &self.renewed {
            set_cookie(answer, cookie);
        }
    }

    /// Tells the browser to drop the cookies of votes that do not count.
    pub(super) fn drop_others(&self, answer: &mut Response) {
        for cookie in &self.others {
            set_cookie(answer, cookie);
        }
    }
}

pub(super) fn set_cookie(answer: &mut Response, cookie: &str) {
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

fn seconds_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

impl Remembered {
    /// The vote of a ballot that was stored just now.
    pub(super) fn stored(choices: Choices, receipt: &Receipt) -> Self {
        Self {
            choices: Some(choices),
            at: seconds_now(),
            position: Some(receipt.position),
        }
    }

    /// The same vote without its choices, which the voter has asked to forget. Of a ballot that was taken back it is kept that it
    /// was: whoever has no vote gets no grant for a result.
    pub(super) fn forgotten(self) -> Self {
        Self {
            choices: self.choices.filter(|_| self.is_withdrawn()),
            at: seconds_now(),
            ..self
        }
    }

    /// The receipt of the vote, which this voter cast. Earlier versions did not store the position: such a vote has none here.
    pub(super) fn receipt(&self, poll: &PollId, voter: VoterId) -> Option<Receipt> {
        Some(Receipt {
            poll: poll.clone(),
            voter,
            position: self.position?,
        })
    }

    /// Whether the voter took the ballot back.
    pub(super) fn is_withdrawn(&self) -> bool {
        self.choices == Some(Choices::WITHDRAWN)
    }

    /// Whether the vote was confirmed within the last `age`.
    pub(super) fn is_within(&self, age: Duration) -> bool {
        seconds_now().saturating_sub(self.at) <= age.as_secs()
    }

    /// The key by which votes are ordered; the vote with the greatest one counts.
    fn order(&self, revote: bool) -> impl Ord + use<> {
        let newest = self.position.filter(|_| revote);
        let oldest = Reverse(self.position.filter(|_| !revote));
        (newest, oldest, self.choices.is_none(), self.at)
    }

    fn to_bytes(self) -> Vec<u8> {
        let code = match self.choices {
            None => FORGOTTEN,
            Some(Choices::BLANK) => BLANK,
            Some(choices) => choices.code(),
        };
        let mut bytes = Vec::with_capacity(34);
        bytes.extend(code.to_be_bytes());
        bytes.extend(self.at.to_be_bytes());
        if let Some(position) = self.position {
            bytes.extend(position.shard().0.to_be_bytes());
            bytes.extend(position.ms().to_be_bytes());
            bytes.extend(position.n().to_be_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (code, bytes) = bytes.split_first_chunk()?;
        let (at, bytes) = bytes.split_first_chunk()?;
        let position = if bytes.is_empty() {
            None
        } else {
            let (shard, bytes) = bytes.split_first_chunk()?;
            let (ms, n) = bytes.split_first_chunk()?;
            let (ms, n) = (
                u64::from_be_bytes(*ms),
                u64::from_be_bytes(n.try_into().ok()?),
            );
            Some(Position::from_parts(
                ShardId(u16::from_be_bytes(*shard)),
                ms,
                n,
            )?)
        };
        let choices = match u64::from_be_bytes(*code) {
            FORGOTTEN => None,
            BLANK => Some(Choices::BLANK),
            code => Some(Choices::from_code(code)?),
        };
        Some(Self {
            choices,
            at: u64::from_be_bytes(*at),
            position,
        })
    }
}

impl BallotCookies {
    pub(crate) fn new(secrets: &Secrets, secure: bool) -> Self {
        Self {
            current: Keys::new(secrets.current()),
            others: secrets.others().iter().map(Keys::new).collect(),
            secure,
        }
    }

    fn keys(&self) -> impl Iterator<Item = &Keys> {
        iter::once(&self.current).chain(&self.others)
    }

    fn name(&self, poll: &PollId, what: Remembered) -> String {
        format!(
            "{}{}.{}",
            PREFIXES[usize::from(!self.secure)],
            self.current.mark(poll),
            self.vote_mark(what)
        )
    }

    /// A text that differs from vote to vote, and reveals nothing else.
    pub(super) fn vote_mark(&self, what: Remembered) -> String {
        let vote = self.current.names.tag(&what.to_bytes());
        BASE64URL_NOPAD.encode(&vote[..VOTE_LEN])
    }

    /// The cookies of this voter's browser for the poll. `revote` says whether the newest vote counts, or the oldest.
    pub(crate) fn read(
        &self,
        request: &Request,
        poll: &PollId,
        revote: bool,
        voter: VoterId,
    ) -> Kept {
        // While a secret is exchanged, a vote may have a cookie of each. All of them are kept, so that all services show it.
        let mut found = Vec::new();
        for (number, keys) in self.keys().enumerate() {
            let mark = keys.mark(poll);
            let of_poll = |cookie: &Cookie<'_>| {
                // Earlier versions had one cookie for each poll, with nothing behind the mark.
                behind_prefix(cookie.name())
                    .and_then(|name| name.strip_prefix(mark.as_str()))
                    .is_some_and(|vote| vote.is_empty() || vote.starts_with('.'))
            };
            let opened = cookies(request).filter(of_poll).filter_map(|cookie| {
                Some((keys.open(&cookie, voter)?, number, cookie.name().to_owned()))
            });
            found.extend(opened);
        }
        // Of equal votes, the cookie of the current secret is the last.
        found.sort_by_key(|(what, number, _)| (what.order(revote), Reverse(*number)));
        let Some((vote, first, _)) = found.pop() else {
            return Kept {
                vote: None,
                others: Vec::new(),
                renewed: None,
            };
        };
        let mut kept = vec![first];
        let others = found.into_iter().rev().filter(|(what, number, _)| {
            let is_copy = *what == vote && !kept.contains(number);
            if is_copy {
                kept.push(*number);
            }
            !is_copy
        });
        Kept {
            vote: Some(vote),
            others: others.map(|(_, _, name)| drop_cookie(&name)).collect(),
            renewed: (first != 0).then(|| self.write(poll, voter, vote)),
        }
    }

    /// The cookie that remembers the vote, as the value of `Set-Cookie`.
    pub(super) fn write(&self, poll: &PollId, voter: VoterId, what: Remembered) -> String {
        let name = self.name(poll, what);
        let bytes = what.to_bytes();
        let mut cookie = format!("{name}=");
        let context = [name.as_bytes(), &voter.to_bytes()];
        let message = |message: &mut Vec<u8>| message.extend(&bytes);
        let sealing = &self.current.sealing;
        sealing.seal(&context, bytes.len(), message, &mut cookie);
        cookie.push_str(attributes(self.secure));
        cookie
    }

    /// Values of `Set-Cookie` that drop the oldest votes, if more than [`MOST`] are remembered under one secret.
    pub(super) fn surplus(&self, request: &Request, voter: VoterId) -> Vec<String> {
        let mut surplus = Vec::new();
        for keys in self.keys() {
            let ours = cookies(request).filter(|cookie| behind_prefix(cookie.name()).is_some());
            let mut known: Vec<_> = ours
                .filter_map(|cookie| {
                    Some((keys.open(&cookie, voter)?.at, cookie.name().to_owned()))
                })
                .collect();
            known.sort_unstable();
            known.truncate(known.len().saturating_sub(MOST));
            surplus.extend(known.into_iter().map(|(_, name)| drop_cookie(&name)));
        }
        surplus
    }
}

fn behind_prefix(name: &str) -> Option<&str> {
    PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))
}

fn attributes(secure: bool) -> &'static str {
    match secure {
        true => "; HttpOnly; SameSite=Lax; Secure; Path=/",
        false => "; HttpOnly; SameSite=Lax; Path=/",
    }
}

fn drop_cookie(name: &str) -> String {
    // Browsers accept a cookie with this prefix only with `Secure`.
    let secure = name.starts_with("__");
    format!("{name}={}; Max-Age=0", attributes(secure))
}

fn cookies(request: &Request) -> impl Iterator<Item = Cookie<'_>> {
    let headers = request.headers().get_all(header::COOKIE).into_iter();
    let texts = headers.filter_map(|value| value.to_str().ok());
    texts.flat_map(Cookie::split_parse).filter_map(Result::ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(byte: u8) -> Secrets {
        Secrets::new(SecretKey::new([byte; 32]).unwrap())
    }

    fn keys_of(byte: u8) -> BallotCookies {
        BallotCookies::new(&secrets(byte), false)
    }

    fn back(set: &str) -> String {
        set.split(';').next().unwrap().to_owned()
    }

    fn with(cookies: &[String]) -> Request {
        Request::builder()
            .header("cookie", cookies.join("; "))
            .finish()
    }

    /// A vote at this place in the log.
    fn vote(bits: u64, ms: u64) -> Remembered {
        Remembered {
            choices: Choices::from_bits(bits),
            at: 1_790_000_000,
            position: Position::from_parts(ShardId(3), ms, 5),
        }
    }

    fn poll(name: &str) -> PollId {
        name.parse().unwrap()
    }

    #[test]
    fn a_vote_reads_back_for_its_voter_and_poll_only() {
        let (keys, voter) = (keys_of(1), VoterId::issue());
        let (poll, other) = (poll("five"), poll("six"));
        let what = vote(0b101, 7);
        let cookie = back(&keys.write(&poll, voter, what));
        let request = with(&["x=y".to_owned(), cookie.clone()]);
        assert_eq!(keys.read(&request, &poll, true, voter).vote, Some(what));
        assert!(!keys.read(&request, &poll, true, voter).has_others());
        assert_eq!(keys.read(&request, &other, true, voter).vote, None);
        assert_eq!(
            keys.read(&request, &poll, true, VoterId::issue()).vote,
            None
        );
        let moved = cookie.replace(&keys.current.mark(&poll), &keys.current.mark(&other));
        assert_eq!(keys.read(&with(&[moved]), &other, true, voter).vote, None);
        let stranger = keys_of(2);
        assert_ne!(stranger.current.mark(&poll), keys.current.mark(&poll));
        let of = |choices| Remembered {
            choices: Some(choices),
            ..what
        };
        for special in [what.forgotten(), of(Choices::BLANK), of(Choices::WITHDRAWN)] {
            let cookie = back(&keys.write(&poll, voter, special));
            assert_eq!(
                keys.read(&with(&[cookie]), &poll, true, voter).vote,
                Some(special)
            );
        }
    }

    #[test]
    fn the_newest_vote_counts_in_whatever_order_answers_come() {
        let (keys, voter, poll) = (keys_of(1), VoterId::issue(), poll("five"));
        let (older, newer) = (vote(0b01, 7), vote(0b10, 8));
        let [older, newer_too] = [older, newer].map(|vote| back(&keys.write(&poll, voter, vote)));
        for jar in [
            [older.clone(), newer_too.clone()],
            [newer_too, older.clone()],
        ] {
            let kept = keys.read(&with(&jar), &poll, true, voter);
            assert_eq!(kept.vote, Some(newer));
            let name = older.split('=').next().unwrap();
            assert_eq!(kept.others.len(), 1);
            assert!(kept.others[0].starts_with(&format!("{name}=;")));
        }
        // A forgotten vote stays forgotten, even if the answer to an older vote arrives late.
        let gone = newer.forgotten();
        let jar = [back(&keys.write(&poll, voter, gone)), older];
        assert_eq!(keys.read(&with(&jar), &poll, true, voter).vote, Some(gone));
    }

    #[test]
    fn where_the_first_vote_counts_the_oldest_is_shown() {
        let (keys, voter, poll) = (keys_of(1), VoterId::issue(), poll("five"));
        let (older, newer) = (vote(0b01, 7), vote(0b10, 8));
        let [older_too, newer_too] =
            [older, newer].map(|vote| back(&keys.write(&poll, voter, vote)));
        let jar = [older_too.clone(), newer_too.clone()];
        let kept = keys.read(&with(&jar), &poll, false, voter);
        assert_eq!(kept.vote, Some(older));
        assert!(kept.others[0].starts_with(newer_too.split('=').next().unwrap()));
        // A forgotten vote stays forgotten.
        let gone = older.forgotten();
        let jar = [back(&keys.write(&poll, voter, gone)), older_too, newer_too];
        let kept = keys.read(&with(&jar), &poll, false, voter);
        assert_eq!(kept.vote, Some(gone));
    }

    #[test]
    fn a_cookie_of_an_earlier_version_or_of_the_other_scheme_is_read() {
        let (keys, voter, poll) = (keys_of(1), VoterId::issue(), poll("five"));
        for prefix in PREFIXES {
            let name = format!("{prefix}{}", keys.current.mark(&poll));
            let what = Remembered {
                position: None,
                ..vote(1, 7)
            };
            let mut cookie = format!("{name}=");
            let context = [name.as_bytes(), &voter.to_bytes()];
            let bytes = what.to_bytes();
            assert_eq!(bytes.len(), 16);
            let message = |message: &mut Vec<u8>| message.extend(&bytes);
            keys.current
                .sealing
                .seal(&context, 16, message, &mut cookie);
            assert_eq!(
                keys.read(&with(&[cookie.clone()]), &poll, true, voter).vote,
                Some(what)
            );
            let newer = back(&keys.write(&poll, voter, vote(2, 1)));
            let kept = keys.read(&with(&[newer, cookie]), &poll, true, voter);
            assert_eq!(kept.vote, Some(vote(2, 1)), "{prefix}");
        }
    }

    #[test]
    fn while_a_secret_is_exchanged_the_vote_is_shown_everywhere_and_renewed() {
        let (voter, five) = (VoterId::issue(), poll("five"));
        let [old, new] = [1, 2].map(keys_of);
        let both = |current, other| {
            let other = SecretKey::new([other; 32]).unwrap();
            BallotCookies::new(&secrets(current).reading(other), false)
        };
        let (signs_old, signs_new) = (both(1, 2), both(2, 1));
        let what = vote(0b101, 7);
        let by_old = back(&old.write(&five, voter, what));
        let by_new = back(&new.write(&five, voter, what));
        let two = vec![by_old.clone(), by_new.clone()];
        for (keys, jar, renewed) in [
            (&signs_old, vec![by_old.clone()], None),
            (&signs_new, vec![by_old.clone()], Some(&by_new)),
            (&signs_old, vec![by_new.clone()], Some(&by_old)),
            (&signs_old, two.clone(), None),
            (&signs_new, two.clone(), None),
            (&new, two.clone(), None),
        ] {
            let kept = keys.read(&with(&jar), &five, true, voter);
            assert_eq!(kept.vote, Some(what));
            assert_eq!(kept.renewed.as_deref().map(back).as_ref(), renewed);
            assert!(!kept.has_others(), "{:?}", kept.others);
        }
        // A newer vote takes the place of both.
        let newer = vote(0b11, 8);
        let jar = [two, vec![back(&new.write(&five, voter, newer))]].concat();
        let kept = signs_old.read(&with(&jar), &five, true, voter);
        assert_eq!((kept.vote, kept.others.len()), (Some(newer), 2));
        assert!(kept.renewed.is_some());
        // Of many polls, as many are remembered as ever.
        let mut jar = Vec::new();
        for number in 0..MOST as u64 {
            let (poll, what) = (poll(&format!("p{number}")), vote(1, number));
            jar.extend([&old, &new].map(|keys| back(&keys.write(&poll, voter, what))));
        }
        assert_eq!(signs_new.surplus(&with(&jar), voter), Vec::<String>::new());
    }

    #[test]
    fn it_is_a_session_cookie_that_no_script_reads() {
        let keys = BallotCookies::new(&secrets(1), true);
        let set = keys.write(&poll("five"), VoterId::issue(), vote(1, 7));
        let set = Cookie::parse(set).unwrap();
        assert!(set.name().starts_with("__Host-ballot-"), "{set}");
        assert_eq!((set.max_age(), set.expires()), (None, None));
        assert_eq!((set.http_only(), set.secure()), (Some(true), Some(true)));
    }

    #[test]
    fn of_many_polls_the_oldest_votes_are_dropped() {
        let (keys, voter) = (keys_of(1), VoterId::issue());
        let vote = |at| Remembered { at, ..vote(1, 7) };
        let name = |at| keys.name(&poll(&format!("p{at}")), vote(at));
        let mut jar: Vec<_> = (0..MOST as u64 + 2)
            .map(|at| back(&keys.write(&poll(&format!("p{at}")), voter, vote(at))))
            .collect();
        jar.reverse();
        let dropped = keys.surplus(&with(&jar), voter);
        let names: Vec<_> = dropped
            .iter()
            .map(|set| set.split('=').next().unwrap().to_owned())
            .collect();
        assert_eq!(names, [name(0), name(1)]);
        assert!(dropped[0].ends_with("; Max-Age=0"));
        jar.truncate(MOST);
        assert_eq!(keys.surplus(&with(&jar), voter), Vec::<String>::new());
    }
}
