//! What a voter's browser keeps of its vote: a session cookie for each poll, so that pages can show the
//! vote without a look-up, with and without scripts. It ends with the browser's session, since the next
//! person at a shared device would see it; the page offers to forget it before.
//!
//! Nothing is counted by it. A cookie that cannot be read, or is of another voter, only means that
//! the page does not show a vote.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cookie::Cookie;
use data_encoding::BASE64URL_NOPAD;
use poem::{Request, http::header};
use voting_core::{Choices, PollId, SecretKey, VoterId, secret::MacKey};

use crate::sealing::SealingKey;

/// For so many polls a vote is remembered; then the oldest one is dropped.
const MOST: usize = 20;

/// Bytes of the poll's hash in the cookie's name.
const NAME_LEN: usize = 9;

/// Reads and writes the cookies.
#[derive(Clone)]
pub(super) struct BallotCookies {
    key: SealingKey,
    names: MacKey,
    prefix: &'static str,
    secure: bool,
}

/// What this browser has voted in a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remembered {
    /// The choices of the last ballot that was confirmed; `None` if the voter had them forgotten.
    pub(super) choices: Option<Choices>,
    /// When that was, in seconds since 1970, by the clock of the service that answered.
    at: u64,
}

impl Remembered {
    pub(super) fn now(choices: Option<Choices>) -> Self {
        let at = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            choices,
            at: at.map_or(0, |at| at.as_secs()),
        }
    }

    /// Whether it is not older than that.
    pub(super) fn is_within(&self, age: Duration) -> bool {
        Self::now(None).at.saturating_sub(self.at) <= age.as_secs()
    }

    fn to_bytes(self) -> [u8; 16] {
        let bits = self.choices.map_or(0, Choices::bits);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&bits.to_be_bytes());
        bytes[8..].copy_from_slice(&self.at.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (bits, at) = bytes.split_first_chunk()?;
        let bits = u64::from_be_bytes(*bits);
        let choices = Choices::from_bits(bits);
        (choices.is_some() || bits == 0).then_some(Self {
            choices,
            at: u64::from_be_bytes(at.try_into().ok()?),
        })
    }
}

impl BallotCookies {
    pub(super) fn new(secret: &SecretKey, secure: bool) -> Self {
        Self {
            key: SealingKey::new(secret, "ballot cookie 1"),
            names: secret.derive("ballot cookie name 1"),
            prefix: if secure { "__Host-ballot-" } else { "ballot-" },
            secure,
        }
    }

    /// Depends on the secret, so that systems on one host do not overwrite each other's.
    fn name(&self, poll: &PollId) -> String {
        let tag = self.names.tag(poll.as_str().as_bytes());
        format!(
            "{}{}",
            self.prefix,
            BASE64URL_NOPAD.encode(&tag[..NAME_LEN])
        )
    }

    /// What the browser of this voter keeps of its vote in the poll.
    pub(super) fn read(
        &self,
        request: &Request,
        poll: &PollId,
        voter: VoterId,
    ) -> Option<Remembered> {
        let name = self.name(poll);
        let mut found = cookies(request).filter(|cookie| cookie.name() == name);
        found.find_map(|cookie| self.open(&cookie, voter))
    }

    /// The cookie that remembers it, as the value of `Set-Cookie`.
    pub(super) fn write(&self, poll: &PollId, voter: VoterId, what: Remembered) -> String {
        let name = self.name(poll);
        let bytes = what.to_bytes();
        let mut cookie = format!("{name}=");
        let message = |message: &mut Vec<u8>| message.extend(bytes);
        let context = [name.as_bytes(), &voter.to_bytes()];
        self.key.seal(&context, bytes.len(), message, &mut cookie);
        cookie.push_str(self.attributes());
        cookie
    }

    /// For polls beyond those that are remembered: values of `Set-Cookie` that drop the oldest.
    pub(super) fn surplus(&self, request: &Request, voter: VoterId) -> Vec<String> {
        let ours = cookies(request).filter(|cookie| cookie.name().starts_with(self.prefix));
        let mut known: Vec<_> = ours
            .filter_map(|cookie| Some((self.open(&cookie, voter)?.at, cookie.name().to_owned())))
            .collect();
        known.sort_unstable();
        known.truncate(known.len().saturating_sub(MOST));
        let drop = |(_, name): (_, String)| format!("{name}={}; Max-Age=0", self.attributes());
        known.into_iter().map(drop).collect()
    }

    fn open(&self, cookie: &Cookie<'_>, voter: VoterId) -> Option<Remembered> {
        let context = [cookie.name().as_bytes(), &voter.to_bytes()];
        let opened = self.key.open(&context, cookie.value().as_bytes());
        Remembered::from_bytes(&opened.ok()?)
    }

    fn attributes(&self) -> &'static str {
        match self.secure {
            true => "; HttpOnly; SameSite=Lax; Secure; Path=/",
            false => "; HttpOnly; SameSite=Lax; Path=/",
        }
    }
}

fn cookies(request: &Request) -> impl Iterator<Item = Cookie<'_>> {
    let headers = request.headers().get_all(header::COOKIE).into_iter();
    let texts = headers.filter_map(|value| value.to_str().ok());
    texts.flat_map(Cookie::split_parse).filter_map(Result::ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys_of(byte: u8) -> BallotCookies {
        BallotCookies::new(&SecretKey::new([byte; 32]).unwrap(), false)
    }

    fn back(set: &str) -> String {
        set.split(';').next().unwrap().to_owned()
    }

    fn with(cookies: &[String]) -> Request {
        Request::builder()
            .header("cookie", cookies.join("; "))
            .finish()
    }

    #[test]
    fn a_vote_reads_back_for_its_voter_and_poll_only() {
        let (keys, voter) = (keys_of(1), VoterId::issue());
        let (poll, other): (PollId, PollId) = ("five".parse().unwrap(), "six".parse().unwrap());
        let what = Remembered::now(Choices::from_bits(0b101));
        let cookie = back(&keys.write(&poll, voter, what));
        let request = with(&["x=y".to_owned(), cookie.clone()]);
        assert_eq!(keys.read(&request, &poll, voter), Some(what));
        assert_eq!(keys.read(&request, &other, voter), None);
        assert_eq!(keys.read(&request, &poll, VoterId::issue()), None);
        let moved = cookie.replace(&keys.name(&poll), &keys.name(&other));
        assert_eq!(keys.read(&with(&[moved]), &other, voter), None);
        let stranger = keys_of(2);
        assert_ne!(stranger.name(&poll), keys.name(&poll));
        let forgotten = Remembered::now(None);
        let cookie = back(&keys.write(&poll, voter, forgotten));
        assert_eq!(keys.read(&with(&[cookie]), &poll, voter), Some(forgotten));
    }

    #[test]
    fn it_is_a_session_cookie_that_no_script_reads() {
        let (poll, what) = (
            "five".parse().unwrap(),
            Remembered::now(Choices::from_bits(1)),
        );
        let secret = SecretKey::new([1; 32]).unwrap();
        let keys = BallotCookies::new(&secret, true);
        let set = keys.write(&poll, VoterId::issue(), what);
        let set = Cookie::parse(set).unwrap();
        assert!(set.name().starts_with("__Host-ballot-"), "{set}");
        assert_eq!((set.max_age(), set.expires()), (None, None));
        assert_eq!((set.http_only(), set.secure()), (Some(true), Some(true)));
    }

    #[test]
    fn of_many_polls_the_oldest_votes_are_dropped() {
        let (keys, voter) = (keys_of(1), VoterId::issue());
        let poll = |n| format!("p{n}").parse::<PollId>().unwrap();
        let mut jar: Vec<_> = (0..MOST as u64 + 2)
            .map(|at| {
                let choices = Choices::from_bits(1);
                back(&keys.write(&poll(at), voter, Remembered { choices, at }))
            })
            .collect();
        jar.reverse();
        let dropped = keys.surplus(&with(&jar), voter);
        let names: Vec<_> = dropped
            .iter()
            .map(|set| set.split('=').next().unwrap().to_owned())
            .collect();
        assert_eq!(names, [keys.name(&poll(0)), keys.name(&poll(1))]);
        assert!(dropped[0].ends_with("; Max-Age=0"));
        jar.truncate(MOST);
        assert_eq!(keys.surplus(&with(&jar), voter), Vec::<String>::new());
    }
}
