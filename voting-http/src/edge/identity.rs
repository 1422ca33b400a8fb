//! Voters whom the application identifies, in place of the service's own cookie.

use std::{borrow::Cow, fmt};

use async_trait::async_trait;
use poem::{
    Addr, Request,
    http::{Extensions, HeaderMap, Method, Uri},
};
use voting_core::{StoreError, VoterId};

use crate::problem::{Problem, kind::ProblemKind};

/// Says who the voter of a request is, or why nobody can vote with it.
///
/// By default a voter is a signed cookie, which the vote service itself issues. An application that implements this
/// trait and passes it to [`VoteServiceBuilder::identify`](crate::VoteServiceBuilder::identify) decides instead. The
/// service then neither sets nor reads a voter cookie. It asks once for each page of a poll, for each request for a
/// poll's state and for each ballot.
///
/// One person must always be the same [`VoterId`], on every device and every day: a voter has one counted ballot in a
/// poll, and a newer ballot replaces it. [`VoterId::from_external`] makes an id of a user's name in such a way that
/// the store does not reveal the name.
///
/// A closure is enough if nothing has to be awaited:
///
/// ```
/// use voting_http::{Identify, NoVoter, RequestHead};
/// use voting_core::{SecretKey, VoterId};
///
/// fn needs_identity(_: impl Identify) {}
///
/// let key = SecretKey::new([7; 32])?.derive("voters of this application");
/// needs_identity(move |request: &RequestHead<'_>| {
///     // A proxy that signs people in sets this header, and removes it from what clients send.
///     let user = request.headers().get("remote-user").and_then(|user| user.to_str().ok());
///     let user = user.ok_or(NoVoter::sign_in("Sign in to vote."))?;
///     Ok(VoterId::from_external(&key, user))
/// });
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[async_trait]
pub trait Identify: Send + Sync {
    /// The voter who sent the request.
    ///
    /// # Errors
    /// [`NoVoter`] says why nobody can vote with the request. Its text is shown to the person.
    async fn identify(&self, request: &RequestHead<'_>) -> Result<VoterId, NoVoter>;
}

#[async_trait]
impl<F> Identify for F
where
    F: Fn(&RequestHead<'_>) -> Result<VoterId, NoVoter> + Send + Sync,
{
    async fn identify(&self, request: &RequestHead<'_>) -> Result<VoterId, NoVoter> {
        self(request)
    }
}

/// A request without its body.
#[derive(Clone, Copy)]
pub struct RequestHead<'a>(&'a Request);

impl<'a> RequestHead<'a> {
    pub(crate) fn of(request: &'a Request) -> Self {
        Self(request)
    }

    /// The method.
    pub fn method(&self) -> &'a Method {
        self.0.method()
    }

    /// The address, as the outermost router of poem received it.
    pub fn uri(&self) -> &'a Uri {
        self.0.original_uri()
    }

    /// The headers.
    pub fn headers(&self) -> &'a HeaderMap {
        self.0.headers()
    }

    /// Values that the application has attached to the request, such as its session.
    pub fn extensions(&self) -> &'a Extensions {
        self.0.extensions()
    }

    /// The address of the other end of the connection, which may be a proxy's. `None` if it is not known.
    pub fn peer(&self) -> Option<std::net::SocketAddr> {
        match &self.0.remote_addr().0 {
            Addr::SocketAddr(peer) => Some(*peer),
            _ => None,
        }
    }
}

/// Prints no headers, since they may contain secrets.
impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", self.method())
            .field("path", &self.uri().path())
            .finish_non_exhaustive()
    }
}

/// Why nobody can vote with a request. The service casts no ballot, and its page shows no ballot.
#[derive(Debug)]
#[non_exhaustive]
pub enum NoVoter {
    /// The sender must sign in first: 401, `urn:voting:problem:sign-in-needed`.
    SignIn {
        /// A sentence for the person, such as `Sign in to vote.`
        detail: Cow<'static, str>,
        /// The address of the page where people sign in. If it is set, pages link to it.
        at: Option<String>,
    },
    /// The sender is known and may not vote: 403, `urn:voting:problem:not-eligible`.
    NotEligible {
        /// A sentence for the person, such as `Only members can vote.`
        detail: Cow<'static, str>,
    },
    /// The application cannot tell at the moment: 503, `urn:voting:problem:store-unavailable`. The cause is logged.
    Unavailable(StoreError),
}

impl NoVoter {
    /// The sender must sign in first. The sentence is shown to the person.
    pub fn sign_in(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::SignIn {
            detail: detail.into(),
            at: None,
        }
    }

    /// The sender may not vote. The sentence is shown to the person.
    pub fn not_eligible(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::NotEligible {
            detail: detail.into(),
        }
    }

    /// Sets the address of the page where people sign in, so that pages can link to it.
    #[must_use]
    pub fn at(self, url: impl Into<String>) -> Self {
        match self {
            Self::SignIn { detail, .. } => Self::SignIn {
                detail,
                at: Some(url.into()),
            },
            other => other,
        }
    }
}

impl From<StoreError> for NoVoter {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error)
    }
}

impl From<NoVoter> for Problem {
    fn from(why: NoVoter) -> Self {
        match why {
            NoVoter::SignIn { detail, at } => {
                Self::new(ProblemKind::SignInNeeded, detail).with_sign_in(at)
            }
            NoVoter::NotEligible { detail } => Self::new(ProblemKind::NotEligible, detail),
            NoVoter::Unavailable(error) => error.into(),
        }
    }
}

/// The voter of a request. The application that mounts the service attaches it, by
/// `request.extensions_mut().insert(Voter(id))` or `request.set_data(Voter(id))`. The service reads it only with
/// [`SetByApplication`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voter(pub VoterId);

/// Takes the voter from the [`Voter`] that the application attaches to the request. A request without a [`Voter`] is
/// answered as [`NoVoter::SignIn`].
#[derive(Debug, Clone)]
pub struct SetByApplication {
    detail: Cow<'static, str>,
    at: Option<String>,
}

impl SetByApplication {
    /// Sets the address where people sign in.
    #[must_use]
    pub fn or_sign_in_at(mut self, url: impl Into<String>) -> Self {
        self.at = Some(url.into());
        self
    }

    /// Sets the sentence for people who are not signed in. By default it is `Sign in to vote.`
    #[must_use]
    pub fn with_words(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }
}

impl Default for SetByApplication {
    fn default() -> Self {
        Self {
            detail: Cow::Borrowed("Sign in to vote."),
            at: None,
        }
    }
}

#[async_trait]
impl Identify for SetByApplication {
    async fn identify(&self, request: &RequestHead<'_>) -> Result<VoterId, NoVoter> {
        match request.extensions().get::<Voter>() {
            Some(Voter(id)) => Ok(*id),
            None => Err(NoVoter::SignIn {
                detail: self.detail.clone(),
                at: self.at.clone(),
            }),
        }
    }
}
