//! Who sent a request: the voter whom the signed cookie or the application names, a new voter, or a sender whose
//! cookie cannot be read.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use cookie::{Cookie, SameSite, time};
use poem::{
    Request, Response,
    http::{HeaderValue, Method, header},
};
use voting_core::{
    StoreError, VoterId,
    model::{poll::CodeRefusal, secret::Fingerprint, secrets::Secrets},
};

use crate::{
    edge::{
        cors::CrossOrigin,
        identity::{Identify, RequestHead},
        set_cookies::SetCookies,
        voter_cookies::{Carried, Names},
    },
    problem::{Problem, kind::ProblemKind, seldom::Seldom},
    tokens::signed::VoterKey,
};

/// The header by which a program names a voter that has no cookie.
pub(crate) const KEY_HEADER: &str = "idempotency-key";

/// Browsers keep a cookie for at most this long.
const MAX_AGE: time::Duration = time::Duration::days(400);

/// A voter whose id is older than this gets the cookie again with each page. So the cookie does not expire while it
/// is used; a voter who lost it would count twice.
const RENEWED_AFTER: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The voter behind a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visitor {
    id: VoterId,
    cookie: CookieFound,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CookieFound {
    Valid,
    /// The cookie has an older name, or the voter's id is old. It is set again under the current name.
    Older,
    None,
    /// The request may have a cookie that this service cannot read. The service takes no ballots, and sets no cookie.
    Withheld,
    Refused(Refusal),
    /// No cookie is used: the application says who the voter is.
    Unused,
    /// The voter has a code of the poll.
    Code,
    /// The poll has codes, and the request says none that is valid.
    NoCode(NoCode),
    /// A program without a cookie names the voter by a key of its own.
    Key,
    /// The voter has signed in.
    Login,
    /// The poll's voters sign in, and this one has not, or may not vote.
    NoLogin(NoLogin),
}

/// Why nobody who may vote has signed in with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoLogin {
    /// There is no session for the poll, or it is over.
    Needed,
    /// The cookie of the session, or what the proxy says, cannot be read.
    Unreadable,
    /// The person does not have the groups, or the e-mail domain, that the poll asks for.
    NotEligible,
}

impl From<NoLogin> for Problem {
    fn from(why: NoLogin) -> Self {
        match why {
            NoLogin::Needed => Self::said(ProblemKind::SignInNeeded, |t| &t.sign_in_needed),
            NoLogin::Unreadable => Self::said(ProblemKind::SignInNeeded, |t| &t.sign_in_again),
            NoLogin::NotEligible => Self::said(ProblemKind::NotEligible, |t| &t.other_people),
        }
    }
}

/// Why a request about a poll with codes does not say who the voter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoCode {
    /// There is no code, and no cookie for the poll.
    Needed,
    /// The cookie for the poll is damaged, or was not set here, or there are several.
    Unreadable,
    /// The code is not valid.
    Refused(CodeRefusal),
}

/// Attached to each request. A route sets it if the request is about a poll whose voters have no voter cookie.
#[derive(Debug, Clone, Default)]
pub(crate) struct NoVoterCookie(Arc<AtomicBool>);

impl NoVoterCookie {
    pub(crate) fn set(&self) {
        self.0.store(true, Relaxed);
    }
}

/// Why a cookie does not say who the voter is. If its sender counted as a new voter, one person could count twice. So
/// no ballot of the sender is counted until the sender asks to start over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The cookie was not issued under this secret, or is damaged.
    Unreadable,
    /// There are several cookies with different values.
    Several,
    /// The cookie has a name that any subdomain could have set, or was issued under a secret that was dropped. Such cookies
    /// are no longer accepted.
    Outdated,
}

impl Refusal {
    /// Whether a new cookie would replace this one.
    pub(crate) fn can_start_over(self) -> bool {
        self != Self::Several
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unreadable => Self::new(
                ProblemKind::InvalidVoterCookie,
                "The cookie that names you as a voter is damaged, or was not issued here. To vote as a \
                 new voter, open the voting page and start over there.",
            ),
            Refusal::Several => {
                Self::said(ProblemKind::SeveralVoterCookies, |t| &t.several_cookies)
            }
            Refusal::Outdated => Self::new(
                ProblemKind::OutdatedVoterCookie,
                "The cookie that names you as a voter is of a kind that is no longer taken. To vote as a \
                 new voter, open the voting page and start over there.",
            ),
        }
    }
}

impl Visitor {
    /// The voter whom the application names.
    pub(crate) fn named(id: VoterId) -> Self {
        Self {
            id,
            cookie: CookieFound::Unused,
        }
    }

    /// The holder of a code.
    pub(crate) fn with_code(id: VoterId) -> Self {
        Self {
            id,
            cookie: CookieFound::Code,
        }
    }

    /// Somebody without a valid code, in a poll that has codes. The id is nobody's.
    pub(crate) fn without_code(why: NoCode) -> Self {
        Self {
            id: VoterId::from_bytes([0; 16]),
            cookie: CookieFound::NoCode(why),
        }
    }

    /// The voter whom a program names by a key of its own. The id is that in the poll.
    pub(crate) fn with_key(id: VoterId) -> Self {
        Self {
            id,
            cookie: CookieFound::Key,
        }
    }

    /// Somebody who has signed in.
    pub(crate) fn with_login(id: VoterId) -> Self {
        Self {
            id,
            cookie: CookieFound::Login,
        }
    }

    /// Somebody who has not signed in, or may not vote, in a poll whose voters sign in. The id is nobody's.
    pub(crate) fn without_login(why: NoLogin) -> Self {
        Self {
            id: VoterId::from_bytes([0; 16]),
            cookie: CookieFound::NoLogin(why),
        }
    }

    /// Why nobody who may vote has signed in, in a poll whose voters sign in.
    pub(crate) fn no_login(&self) -> Option<NoLogin> {
        match self.cookie {
            CookieFound::NoLogin(why) => Some(why),
            _ => None,
        }
    }

    /// Whether the visitor votes as somebody who has signed in here.
    pub(crate) fn has_login(&self) -> bool {
        self.cookie == CookieFound::Login
    }

    /// Why the visitor has no valid code, in a poll that has codes.
    pub(crate) fn no_code(&self) -> Option<NoCode> {
        match self.cookie {
            CookieFound::NoCode(why) => Some(why),
            _ => None,
        }
    }

    /// Whether there is a cookie for a code, and it is not valid.
    pub(crate) fn has_invalid_code(&self) -> bool {
        self.no_code().is_some_and(|why| why != NoCode::Needed)
    }

    /// Whether the visitor votes with a code.
    pub(crate) fn has_code(&self) -> bool {
        self.cookie == CookieFound::Code
    }

    /// Whether the application has named the voter.
    pub(crate) fn is_named(&self) -> bool {
        self.cookie == CookieFound::Unused
    }

    /// Whether a program names the voter by a key of its own.
    pub(crate) fn has_key(&self) -> bool {
        self.cookie == CookieFound::Key
    }

    /// The voter, if this visitor may vote.
    pub(crate) fn voter(&self) -> Result<VoterId, Problem> {
        match self.cookie {
            CookieFound::Refused(refusal) => Err(refusal.into()),
            CookieFound::NoCode(why) => Err(why.into()),
            CookieFound::NoLogin(why) => Err(why.into()),
            // The person has a cookie that only services with another secret can read.
            CookieFound::Withheld => Err(Problem::foreign_secret()),
            _ => Ok(self.id),
        }
    }

    /// Why the cookie does not say who the visitor is.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self.cookie {
            CookieFound::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether the request came without the cookie. Its sender is new, or keeps no cookies.
    pub(crate) fn is_new(&self) -> bool {
        self.cookie == CookieFound::None
    }

    /// The visitor's voter id; for a refused cookie, the id that the visitor would have after starting over.
    pub(crate) fn id(&self) -> VoterId {
        self.id
    }
}

/// How the service finds out who votes.
#[derive(Clone)]
pub(crate) enum Voters {
    /// The signed cookie says who votes.
    Cookie(Arc<VoterCookies>),
    /// The application says who votes.
    Application(Arc<dyn Identify>),
}

impl Voters {
    /// Who sent a request.
    pub(crate) async fn visitor(&self, request: &Request) -> Result<Visitor, Problem> {
        match self {
            Self::Cookie(_) => {
                // The edge has read the cookie, and sets it.
                let visitor = request.data::<Visitor>().copied();
                visitor.ok_or_else(Problem::internal)
            }
            Self::Application(application) => {
                let voter = application.identify(&RequestHead::of(request)).await?;
                Ok(Visitor::named(voter))
            }
        }
    }

    /// The cookies, if they are used.
    pub(crate) fn cookies(&self) -> Option<&VoterCookies> {
        match self {
            Self::Cookie(cookies) => Some(cookies),
            Self::Application(_) => None,
        }
    }
}

/// What the log says of cookies that this service cannot read.
#[derive(Debug, Clone)]
pub(crate) enum Unread {
    /// The log has not answered yet.
    NotKnown,
    /// There are cookies of a secret that the log accepts. So this service takes no ballots.
    Accepted,
    /// There are cookies of secrets that were dropped: these.
    Dropped(Arc<[Fingerprint]>),
}

/// Knows under which secrets cookies were issued that this service cannot read.
#[async_trait]
pub(crate) trait UnreadSecrets: Send + Sync {
    /// What is known.
    fn known(&self) -> Unread;

    /// Finds it out, if that is possible now.
    async fn ask(&self);
}

/// Reads and issues the voter's cookie.
pub(crate) struct VoterCookies {
    key: VoterKey,
    names: Names,
    unread: Option<Arc<dyn UnreadSecrets>>,
    /// The part of `Set-Cookie` behind the value. It is the same for all voters.
    attributes: String,
    clock: fn() -> SystemTime,
    warnings: Seldom,
}

impl VoterCookies {
    pub(crate) fn new(secrets: &Secrets, https: bool) -> Self {
        let names = Names::new(&secrets.known(), https);
        let cookie = Cookie::build((names.current.as_str(), ""))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(https)
            .max_age(MAX_AGE);
        let mut attributes = cookie.to_string();
        attributes.drain(..=names.current.len());
        Self {
            key: VoterKey::new(secrets),
            names,
            unread: None,
            attributes,
            clock: SystemTime::now,
            warnings: Seldom::default(),
        }
    }

    /// Also recognises cookies of secrets that were dropped. Their voters are asked to start over.
    pub(crate) fn refusing(self, unread: Arc<dyn UnreadSecrets>) -> Self {
        Self {
            unread: Some(unread),
            ..self
        }
    }

    /// Before the request is [met](Self::meet): finds out which secrets were dropped, if that matters for this request and is
    /// not known. So a service asks at most until its log has answered once, and for few visitors only.
    pub(crate) async fn prepare(&self, request: &Request) {
        if let Some(unread) = self.unread.as_ref().filter(|_| self.must_prepare(request)) {
            unread.ask().await;
        }
    }

    /// Whether [`prepare`](Self::prepare) has something to do.
    pub(crate) fn must_prepare(&self, request: &Request) -> bool {
        let unread = self.unread.as_ref();
        unread.is_some_and(|unread| matches!(unread.known(), Unread::NotKnown))
            && self.names.has_foreign(request.headers())
    }

    /// What a cookie is, if it was issued under a secret that is not here; `None` if there is no such cookie.
    ///
    /// # Errors
    /// It is not known which secrets were dropped. The visitor could become another voter without a word.
    fn unread(&self, request: &Request) -> Result<Option<CookieFound>, Problem> {
        let Some(unread) = &self.unread else {
            return Ok(None);
        };
        let headers = request.headers();
        match unread.known() {
            Unread::Dropped(dropped) => {
                let is_dropped = self.names.has_dropped(headers, &dropped);
                Ok(is_dropped.then_some(CookieFound::Refused(Refusal::Outdated)))
            }
            Unread::Accepted => {
                let is_foreign = self.names.has_foreign(headers);
                Ok(is_foreign.then_some(CookieFound::Withheld))
            }
            Unread::NotKnown if self.names.has_foreign(headers) => Err(StoreError::unavailable(
                "the log has not said which secrets were dropped",
            )
            .into()),
            Unread::NotKnown => Ok(None),
        }
    }

    /// The name of the cookie.
    pub(crate) fn name(&self) -> &str {
        &self.names.current
    }

    /// The voter whom the cookie of a request names, if it has one that can be read.
    pub(crate) fn voter(&self, request: &Request) -> Option<VoterId> {
        let visitor = self.read(request).ok()?;
        let is_named = matches!(visitor.cookie, CookieFound::Valid | CookieFound::Older);
        is_named.then_some(visitor.id)
    }

    fn read(&self, request: &Request) -> Result<Visitor, Problem> {
        let new = |cookie| Visitor {
            id: VoterId::issue(),
            cookie,
        };
        if let Some(cookie) = self.unread(request)? {
            return Ok(new(cookie));
        }
        Ok(match self.names.find(request.headers(), self.clock) {
            Carried::Nothing => new(CookieFound::None),
            Carried::Several => new(CookieFound::Refused(Refusal::Several)),
            Carried::One {
                value,
                is_older,
                is_over,
            } => match self.key.open(value) {
                Ok(_) if is_over => new(CookieFound::Refused(Refusal::Outdated)),
                Ok(id) if is_older || self.is_old(id) => Visitor {
                    id,
                    cookie: CookieFound::Older,
                },
                Ok(id) => Visitor {
                    id,
                    cookie: CookieFound::Valid,
                },
                Err(_) => new(CookieFound::Refused(Refusal::Unreadable)),
            },
            Carried::EachSecret {
                values,
                has_current,
            } => match self.one_of(&values) {
                // All services choose the same one.
                Some((id, is_first)) if is_first && has_current && !self.is_old(id) => Visitor {
                    id,
                    cookie: CookieFound::Valid,
                },
                Some((id, _)) => Visitor {
                    id,
                    cookie: CookieFound::Older,
                },
                None => new(CookieFound::Refused(Refusal::Unreadable)),
            },
        })
    }

    /// The voter whom these cookies name, and whether the first of them does. They name two if two services have each given
    /// the browser its first cookie at the same time. Then it is the one who was issued first. `None` if one of them cannot be
    /// read.
    fn one_of(&self, values: &[&[u8]]) -> Option<(VoterId, bool)> {
        let voters = values.iter().map(|value| self.key.open(value).ok());
        let voters: Vec<_> = voters.collect::<Option<_>>()?;
        let voter = *voters.iter().min()?;
        Some((voter, voters.first() == Some(&voter)))
    }

    /// Whether the cookie may be about to expire. A voter's id says when it was issued. It is not known when the
    /// cookie was last set, so from this age on it is set again with each page.
    fn is_old(&self, voter: VoterId) -> bool {
        let now = (self.clock)();
        let issued = voter.issued_at();
        issued.is_some_and(|issued| {
            now.duration_since(issued)
                .is_ok_and(|age| age >= RENEWED_AFTER)
        })
    }

    /// The value of `Set-Cookie` that gives a voter the cookie.
    pub(crate) fn issue(&self, voter: VoterId) -> Option<HeaderValue> {
        let (name, token) = (self.names.current.as_str(), self.key.seal(voter));
        // Unlike `format!`, this makes a text of just the right size, which becomes the value without a copy.
        HeaderValue::try_from([name, "=", &token, &self.attributes].concat()).ok()
    }

    /// Gives a visitor, whose cookie does not say who the visitor is, another one. Cookies of other secrets are dropped: they
    /// would be refused again.
    pub(crate) fn start_over(&self, request: &Request, voter: VoterId) -> Option<HeaderValue> {
        for name in self.names.others_in(request.headers()) {
            let drop = [name, "=", &self.attributes, "; Max-Age=0"].concat();
            SetCookies::add(request, drop);
        }
        self.issue(voter)
    }

    /// Attaches the visitor to the request, for the routes.
    ///
    /// # Errors
    /// It is not known whether the visitor's cookie was issued here.
    pub(crate) fn meet(&self, request: &mut Request) -> Result<Visit<'_>, Problem> {
        let visitor = self.read(request)?;
        if let CookieFound::Refused(refusal) = visitor.cookie
            && let Some(held_back) = self.warnings.due()
        {
            let name = self.names.current.as_str();
            // The value is not logged, since it could be somebody's valid cookie.
            tracing::warn!(
                ?refusal,
                cookie = name,
                held_back,
                "refused a voter cookie, no ballot is counted for it"
            );
        }
        let visit = Visit {
            cookies: self,
            visitor,
            casts: !matches!(
                *request.method(),
                Method::GET | Method::HEAD | Method::OPTIONS
            ),
            docs: request.uri().path().starts_with("/docs"),
            crosses: request.data::<CrossOrigin>().is_some(),
            without: NoVoterCookie::default(),
        };
        // A cookie beside the key would name another voter.
        if request.headers().contains_key(KEY_HEADER) {
            visit.without.set();
        }
        request.set_data(visitor);
        request.set_data(visit.without.clone());
        Ok(visit)
    }
}

/// The facts about a request that its answer needs.
pub(crate) struct Visit<'a> {
    cookies: &'a VoterCookies,
    visitor: Visitor,
    casts: bool,
    docs: bool,
    /// Whether a script of another origin sent the request. It gets the cookie before it casts.
    crosses: bool,
    without: NoVoterCookie,
}

impl Visit<'_> {
    /// Sets the cookie for a new visitor, or for one who has it under an older name: with a page, and with the answer
    /// to a cast. A cookie that cannot be read is never replaced here.
    pub(crate) fn part(&self, answer: &mut Response) {
        let is_page = |answer: &Response| {
            let kind = answer.content_type();
            kind.is_some_and(|kind| kind.starts_with("text/html"))
        };
        if matches!(self.visitor.cookie, CookieFound::None | CookieFound::Older)
            && !self.without.0.load(Relaxed)
            && (self.casts || self.crosses || is_page(answer) && !self.docs)
            && let Some(cookie) = self.cookies.issue(self.visitor.id)
        {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}

#[cfg(test)]
mod tests {
    use voting_core::SecretKey;

    use super::*;

    fn secret(byte: u8) -> Secrets {
        Secrets::new(SecretKey::new([byte; 32]).unwrap())
    }

    /// A service that makes cookies under the first secret, and reads those of both.
    fn of_both(first: u8, other: u8) -> VoterCookies {
        let other = SecretKey::new([other; 32]).unwrap();
        VoterCookies::new(&secret(first).reading(other), false)
    }

    fn cookie(cookies: &VoterCookies, voter: VoterId) -> String {
        let set = cookies.issue(voter).unwrap();
        let set = set.to_str().unwrap();
        set.split(';').next().unwrap().to_owned()
    }

    #[test]
    fn while_a_secret_is_exchanged_a_voter_is_the_same_at_every_service() {
        let (signs_old, signs_new) = (of_both(7, 8), of_both(8, 7));
        let (old, new) = (
            VoterCookies::new(&secret(7), false),
            VoterCookies::new(&secret(8), false),
        );
        let voter = VoterId::issue();
        let (by_old, by_new) = (cookie(&signs_old, voter), cookie(&signs_new, voter));
        assert_eq!(by_old, cookie(&old, voter));
        assert_eq!(by_new, cookie(&new, voter));
        let both = format!("{by_new}; {by_old}");
        for (cookies, header, found) in [
            (&old, &by_old, CookieFound::Valid),
            (&signs_old, &by_old, CookieFound::Valid),
            (&signs_old, &by_new, CookieFound::Older),
            (&signs_old, &both, CookieFound::Valid),
            (&signs_new, &by_old, CookieFound::Older),
            (&signs_new, &by_new, CookieFound::Valid),
            (&signs_new, &both, CookieFound::Valid),
            (&new, &by_new, CookieFound::Valid),
            (&new, &both, CookieFound::Valid),
        ] {
            let visitor = visitor(cookies, header);
            assert_eq!((visitor.id, visitor.cookie), (voter, found), "{header}");
        }
    }

    #[test]
    fn of_two_voters_that_a_browser_was_given_at_once_every_service_takes_the_same() {
        let (signs_old, signs_new) = (of_both(7, 8), of_both(8, 7));
        let (first, second) = (VoterId::issue(), VoterId::issue());
        assert!(first < second);
        for (by_old, by_new) in [(first, second), (second, first)] {
            let header = format!(
                "{}; {}",
                cookie(&signs_old, by_old),
                cookie(&signs_new, by_new)
            );
            for (cookies, own) in [(&signs_old, by_old), (&signs_new, by_new)] {
                let found = match own == first {
                    true => CookieFound::Valid,
                    false => CookieFound::Older,
                };
                let visitor = visitor(cookies, &header);
                assert_eq!((visitor.id, visitor.cookie), (first, found));
            }
        }
    }

    #[test]
    fn a_damaged_cookie_of_one_secret_is_refused_beside_that_of_another() {
        let (signs_old, signs_new) = (of_both(7, 8), of_both(8, 7));
        let (by_old, by_new) = (
            cookie(&signs_old, VoterId::issue()),
            cookie(&signs_new, VoterId::issue()),
        );
        for header in [
            format!("{by_old}x; {by_new}"),
            format!("{by_old}; {by_new}x"),
            format!("{by_old}x"),
            format!("{by_new}x"),
        ] {
            for cookies in [&signs_old, &signs_new] {
                let visitor = visitor(cookies, &header);
                assert_eq!(visitor.refusal(), Some(Refusal::Unreadable), "{header}");
            }
        }
        // Who starts over has one cookie afterwards, which all services read.
        let voter = VoterId::issue();
        let mut request = Request::builder().header("cookie", format!("{by_old}x; {by_new}"));
        request = request.method(Method::POST);
        let mut request = request.finish();
        let further = SetCookies::default();
        request.set_data(further.clone());
        let set = signs_new.start_over(&request, voter).unwrap();
        let mut answer = Response::builder().header("set-cookie", set).finish();
        further.put_on(&mut answer);
        let set = answer.headers().get_all("set-cookie").iter();
        let set: Vec<_> = set.map(|set| set.to_str().unwrap()).collect();
        assert_eq!(set.len(), 2, "{set:?}");
        assert!(set[0].starts_with(&cookie(&signs_new, voter)), "{set:?}");
        let name = by_old.split('=').next().unwrap();
        assert!(set[1].starts_with(&format!("{name}=;")), "{set:?}");
        assert!(set[1].ends_with("; Max-Age=0"), "{set:?}");
    }

    /// What a log has said.
    struct Told(Unread);

    #[async_trait]
    impl UnreadSecrets for Told {
        fn known(&self) -> Unread {
            self.0.clone()
        }

        async fn ask(&self) {}
    }

    #[test]
    fn a_cookie_of_a_secret_that_was_dropped_is_never_replaced_in_silence() {
        let old = VoterCookies::new(&secret(7), false);
        let old = cookie(&old, VoterId::issue());
        let service =
            |reported| VoterCookies::new(&secret(8), false).refusing(Arc::new(Told(reported)));
        let dropped = |byte| Unread::Dropped([secret(byte).known().current].into());
        let refusal = |cookies: &VoterCookies| visitor(cookies, &old).refusal();
        assert_eq!(refusal(&service(dropped(7))), Some(Refusal::Outdated));
        // It is another system's.
        assert_eq!(refusal(&service(dropped(9))), None);
        let unsure = service(Unread::NotKnown);
        let request = |header: &str| Request::builder().header("cookie", header).finish();
        let problem = unsure.read(&request(&old)).unwrap_err();
        assert_eq!(problem.status().as_u16(), 503);
        assert!(unsure.must_prepare(&request(&old)));
        // Nobody else notices.
        assert!(unsure.read(&request("a=b")).unwrap().is_new());
        assert!(!unsure.must_prepare(&request("a=b")));
        let ours = cookie(&unsure, VoterId::issue());
        let known = service(dropped(7));
        let found = visitor(&known, &format!("{old}; {ours}"));
        assert_eq!(found.cookie, CookieFound::Valid);
        // A service that takes no ballots gives nobody a cookie beside the one that it cannot read.
        let lacking = service(Unread::Accepted);
        assert_eq!(visitor(&lacking, &old).cookie, CookieFound::Withheld);
        assert!(visitor(&lacking, "a=b").is_new());
    }

    fn visitor(cookies: &VoterCookies, header: &str) -> Visitor {
        let request = Request::builder().header("cookie", header).finish();
        cookies.read(&request).unwrap()
    }

    #[test]
    fn a_cookie_of_an_older_name_is_the_same_voter_until_a_set_date() {
        let voter = VoterId::issue();
        let mut cookies = VoterCookies::new(&secret(7), true);
        let token = cookies.key.seal(voter);
        for name in ["voter", "voter-721edc", "__Host-voter"] {
            let visitor = visitor(&cookies, &format!("{name}={token}"));
            assert_eq!((visitor.id, visitor.cookie), (voter, CookieFound::Older));
        }
        cookies.clock = || SystemTime::now() + Duration::from_secs(10 * 365 * 24 * 3600);
        for name in ["voter", "voter-721edc"] {
            let visitor = visitor(&cookies, &format!("{name}={token}"));
            assert_eq!(visitor.refusal(), Some(Refusal::Outdated), "{name}");
        }
        let bound = visitor(&cookies, &format!("__Host-voter={token}"));
        assert_eq!((bound.id, bound.cookie), (voter, CookieFound::Older));
    }

    #[test]
    fn the_cookie_of_a_voter_who_comes_again_is_given_anew_after_a_month() {
        let voter = VoterId::issue();
        let mut cookies = VoterCookies::new(&secret(7), false);
        let token = cookies.key.seal(voter);
        let header = format!("voter-721edc={token}");
        assert_eq!(visitor(&cookies, &header).cookie, CookieFound::Valid);
        cookies.clock = || SystemTime::now() + Duration::from_secs(31 * 24 * 3_600);
        let later = visitor(&cookies, &header);
        assert_eq!((later.id, later.cookie), (voter, CookieFound::Older));
        // The id of a voter whom the application has named contains no time.
        let named = cookies.key.seal(VoterId::from_bytes([7; 16]));
        let header = format!("voter-721edc={named}");
        assert_eq!(visitor(&cookies, &header).cookie, CookieFound::Valid);
    }

    #[test]
    fn a_cookie_of_another_secret_is_unreadable_and_stays_so() {
        let cookies = VoterCookies::new(&secret(7), false);
        let other = VoterKey::new(&secret(8)).seal(VoterId::issue());
        for header in [
            format!("voter-721edc={other}"),
            format!("voter={other}"),
            "voter=x".to_owned(),
        ] {
            let visitor = visitor(&cookies, &header);
            assert_eq!(visitor.refusal(), Some(Refusal::Unreadable), "{header}");
            assert!(visitor.voter().is_err());
        }
    }
}
