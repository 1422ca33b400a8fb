//! Voters who sign in: the session of a poll, which a token opens, and the page that asks to sign in.
//!
//! The cookie of a session has the voter's id in this poll and the end of the session. The person's name is in no cookie, and
//! nothing is looked up when a ballot is cast.

use poem::{
    Endpoint, Request, Response,
    http::{StatusCode, header},
};
use voting_core::{
    Poll, VoterId,
    model::{moment::Moment, poll::VoterScheme, secrets::Secrets},
};

use super::{
    VoteService,
    logins::{Logins, Person, TokenFault},
    memory::set_cookie,
    page,
    poll_cookie::{PollCookies, Unread},
};
use crate::{
    edge::visitor::{NoLogin, Visitor},
    pages::poll_of_page::PagePlace,
    problem::{Problem, kind::ProblemKind},
};

/// A voter's id, and a moment.
const CONTENT: usize = 24;

/// `POST /polls/:poll/sign-out`: ends the session in this browser.
pub(super) struct SignOut(pub(super) VoteService);

/// How people sign in, and the sessions of those who have.
pub(super) struct LoginCheck {
    logins: Logins,
    sessions: PollCookies,
}

/// A session that was opened.
pub(super) struct Session {
    pub(super) voter: VoterId,
    pub(super) ends: Moment,
    /// The value of `Set-Cookie`.
    pub(super) cookie: String,
}

/// Of two sessions of one voter, the one that ends later.
fn later(one: Vec<u8>, other: Vec<u8>) -> Option<Vec<u8>> {
    let voter = |content: &[u8]| content.first_chunk::<16>().copied();
    // The moment is behind the voter.
    (voter(&one) == voter(&other)).then(|| one.max(other))
}

impl LoginCheck {
    pub(super) fn new(secrets: &Secrets, logins: Logins, secure: bool) -> Self {
        Self {
            logins,
            sessions: PollCookies::new(secrets, "login", secure),
        }
    }

    pub(super) fn sign_in_url(&self) -> Option<&str> {
        self.logins.sign_in_url()
    }

    /// Whether the request has a session, which a browser can end.
    pub(super) fn has_session(&self, request: &Request, poll: &Poll) -> bool {
        self.sessions.read(request, poll.id(), later).is_ok()
    }

    pub(super) fn open(&self, request: &Request, poll: &Poll, voter: VoterId) -> Session {
        self.sessions.drop_others(request, poll.id());
        let ends = Moment::now().plus(self.logins.session_length());
        let content = [&voter.to_bytes()[..], &ends.unix_ms().to_be_bytes()].concat();
        Session {
            voter,
            ends,
            cookie: self.sessions.set(poll.id(), &content),
        }
    }

    pub(super) fn of_cookie(&self, request: &Request, poll: &Poll) -> Result<VoterId, NoLogin> {
        let content = self.sessions.read(request, poll.id(), later);
        let content = content.map_err(|why| match why {
            Unread::Missing => NoLogin::Needed,
            Unread::Unreadable => NoLogin::Unreadable,
        })?;
        let content: [u8; CONTENT] = content.try_into().map_err(|_| NoLogin::Unreadable)?;
        let (voter, ends) = content.split_at(16);
        let ends = ends
            .iter()
            .fold(0_u64, |ms, byte| ms << 8 | u64::from(*byte));
        if ends <= Moment::now().unix_ms() {
            return Err(NoLogin::Needed);
        }
        let voter = voter.try_into().map_err(|_| NoLogin::Unreadable)?;
        Ok(VoterId::from_bytes(voter))
    }
}

impl VoteService {
    /// Who has signed in with a request: whom the proxy names, else who has a session.
    ///
    /// # Errors
    /// The poll's key cannot be read.
    pub(super) async fn signed_in(
        &self,
        request: &Request,
        poll: &Poll,
    ) -> Result<Visitor, Problem> {
        let logins = &self.0.logins;
        let voter = match logins.logins.of_proxy(request) {
            Ok(Some(person)) => self.voter_of(poll, &person)?,
            Ok(None) => logins.of_cookie(request, poll),
            Err(_) => Err(NoLogin::Unreadable),
        };
        Ok(match voter {
            Ok(voter) => Visitor::with_login(voter),
            Err(why) => Visitor::without_login(why),
        })
    }

    fn voter_of(&self, poll: &Poll, person: &Person) -> Result<Result<VoterId, NoLogin>, Problem> {
        if !person.may_vote(poll.settings()) {
            return Ok(Err(NoLogin::NotEligible));
        }
        let key = self.0.electors.key(poll)?;
        Ok(Ok(person.voter(&key)))
    }

    /// Opens a session in a poll for the person whose token this is.
    ///
    /// # Errors
    /// The poll's voters do not sign in, the token is not valid, or the person may not vote. A wrong token makes its sender
    /// wait.
    pub(super) async fn open_session(
        &self,
        request: &Request,
        poll: &Poll,
    ) -> Result<Session, Problem> {
        let check = &self.0.logins;
        if poll.voter_scheme() != VoterScheme::Login {
            return Err(Problem::invalid("The voters of this poll do not sign in."));
        }
        if poll.voters_are_forgotten() {
            return Err(Problem::poll_closed());
        }
        let Some(tokens) = check.logins.tokens() else {
            return Err(Problem::invalid("This deployment takes no tokens."));
        };
        let bearer = request.headers().get(header::AUTHORIZATION);
        let bearer = bearer.and_then(|value| value.to_str().ok());
        let token = bearer.and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            let token = token.trim();
            (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
        });
        let token = token.ok_or_else(|| {
            Problem::new(
                ProblemKind::InvalidToken,
                "Send the token in the header Authorization, as Bearer.",
            )
        })?;
        let person = tokens.person(token).await.map_err(|fault| match fault {
            TokenFault::Invalid(why) => {
                let problem = Problem::new(
                    ProblemKind::InvalidToken,
                    format!("This token is not taken: {why}."),
                );
                self.0.site.gate.wrong_login(request, problem)
            }
            TokenFault::NoKeys(error) => error.into(),
        })?;
        let voter = self.voter_of(poll, &person)?;
        Ok(check.open(request, poll, voter.map_err(Problem::from)?))
    }

    /// The page that asks to sign in, in place of a page for a visitor who has not, or who may not vote.
    pub(super) fn ask_sign_in(
        &self,
        request: &Request,
        poll: &Poll,
        visitor: Visitor,
        casts: bool,
    ) -> Option<Response> {
        let why = visitor.no_login()?;
        let url = match why {
            NoLogin::NotEligible => None,
            _ => self.0.logins.sign_in_url(),
        };
        let problem = Problem::from(why);
        let mut answer = self.sign_in_page(request, poll, &problem, url);
        answer.set_status(match (casts, why) {
            (false, NoLogin::Needed | NoLogin::Unreadable) => StatusCode::OK,
            _ => problem.status(),
        });
        Some(answer)
    }
}

impl Endpoint for SignOut {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let poll = PagePlace::Named.poll(&self.0.0.polls, &request).await?;
        let mut answer = page::see_page(&request, &poll);
        let sessions = &self.0.0.logins.sessions;
        sessions.drop_others(&request, poll.id());
        set_cookie(&mut answer, &sessions.drop(poll.id()));
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use voting_core::{
        SecretKey,
        model::poll::{PollSettings, Voters},
    };

    use super::*;

    fn check(byte: u8, session: Duration) -> LoginCheck {
        let secrets = Secrets::new(SecretKey::new([byte; 32]).unwrap());
        LoginCheck::new(&secrets, Logins::default().session(session), false)
    }

    fn poll(id: &str) -> Poll {
        let mut settings = PollSettings::default();
        settings.voters = Voters::Identity;
        let poll = Poll::builder(id, "Which?").option("a", "A");
        poll.option("b", "B").settings(settings).build().unwrap()
    }

    fn with(cookie: &str) -> Request {
        Request::builder().header("cookie", cookie).finish()
    }

    #[test]
    fn a_session_is_of_one_poll_and_one_deployment_and_ends() {
        let hour = Duration::from_secs(3_600);
        let (check, stranger) = (check(1, hour), check(2, hour));
        let (ours, other) = (poll("ours"), poll("other"));
        let voter = VoterId::issue();
        let back = |session: &Session| session.cookie.split(';').next().unwrap().to_owned();
        let cookie = back(&check.open(&with("a=b"), &ours, voter));
        assert_eq!(check.of_cookie(&with(&cookie), &ours), Ok(voter));
        assert_eq!(
            check.of_cookie(&with(&cookie), &other),
            Err(NoLogin::Needed)
        );
        let moved = cookie.replace(
            &check.sessions.name(ours.id()),
            &check.sessions.name(other.id()),
        );
        assert_eq!(
            check.of_cookie(&with(&moved), &other),
            Err(NoLogin::Unreadable)
        );
        let theirs = back(&stranger.open(&with("a=b"), &ours, voter)).replace(
            &stranger.sessions.name(ours.id()),
            &check.sessions.name(ours.id()),
        );
        assert_eq!(
            check.of_cookie(&with(&theirs), &ours),
            Err(NoLogin::Unreadable)
        );
        let over = self::check(1, Duration::ZERO);
        let cookie = back(&over.open(&with("a=b"), &ours, voter));
        assert_eq!(check.of_cookie(&with(&cookie), &ours), Err(NoLogin::Needed));
    }

    #[test]
    fn of_two_sessions_of_one_voter_the_later_one_counts_and_of_two_voters_none() {
        let session = |voter: u8, ends: u64| [&[voter; 16][..], &ends.to_be_bytes()].concat();
        let (early, late) = (session(1, 7), session(1, 300));
        assert_eq!(later(early.clone(), late.clone()), Some(late.clone()));
        assert_eq!(later(late.clone(), early), Some(late.clone()));
        assert_eq!(later(late, session(2, 7)), None);
    }
}
