//! Signing in at an identity provider: the way there, and the way back.

use askama::Template;
use poem::{
    Request, Response,
    http::{HeaderValue, StatusCode, header},
};
use voting_core::model::moment::Moment;

use super::{
    Frame, Host, Known,
    oidc::{Answer, Attempt, Fault, Oidc, Person},
    query, see, sign_in,
};
use crate::{
    edge::callers::Caller,
    pages::{assets, site::Prefix, templates::render},
    problem::{Problem, kind::ProblemKind},
};

/// The browser is led on from this page, and not by a redirect: it does not send the cookie of the session along with a
/// redirect on the way back from another site.
#[derive(Template)]
#[template(path = "host/signed_in.html")]
struct SignedInPage {
    base: String,
    assets_version: &'static str,
    frame: Frame,
    /// Where to go on.
    next: String,
}

/// `GET`: to the provider. Only from the own page, so that no other site signs anybody in.
pub(super) async fn start(host: Host, request: Request) -> Result<Response, Problem> {
    let oidc = host.oidc()?;
    let prefix = Prefix::of(&request);
    let next = query(&request, "next");
    let next = next.as_deref().and_then(sign_in::own);
    let from = request.headers().get("sec-fetch-site");
    if from.is_some_and(|from| !matches!(from.as_bytes(), b"same-origin" | b"none")) {
        return Ok(see(&prefix, "/sign-in"));
    }
    let now = Moment::now();
    let attempt = Attempt::new(next, now)?.replacing(host.carried_session(&request, now));
    match oidc.provider.page(&attempt, prefix.as_str()).await {
        Ok(page) => {
            let mut answer = Response::builder().status(StatusCode::SEE_OTHER).finish();
            let page = HeaderValue::try_from(page).map_err(|_| Problem::internal())?;
            answer.headers_mut().insert(header::LOCATION, page);
            oidc.attempts.begin(&mut answer, &attempt);
            Ok(answer)
        }
        Err(fault) => Ok(host.not_signed_in(&request, &fault, next)),
    }
}

/// `GET`: from the provider.
pub(super) async fn back(host: Host, request: Request) -> Result<Response, Problem> {
    let oidc = host.oidc()?;
    let now = Moment::now();
    let attempt = oidc.attempts.of(&request, now);
    let next = attempt.as_ref().and_then(|attempt| attempt.next.clone());
    let before = attempt.as_ref().and_then(Attempt::replaced);
    let came = host.came_back(oidc, &request, attempt.as_ref()).await;
    let mut answer = match came {
        Ok(person) => {
            let signed_in = host.sign_in_person(oidc, &request, &person, next, now);
            let answer = signed_in.await?;
            if let Some(before) = before {
                host.0.store.end_session(before).await?;
            }
            answer
        }
        Err(fault) => host.not_signed_in(&request, &fault, next.as_deref()),
    };
    // Each try comes back once.
    oidc.attempts.end(&mut answer);
    // The address has the code.
    let headers = answer.headers_mut();
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    Ok(answer)
}

impl Host {
    fn oidc(&self) -> Result<&Oidc, Problem> {
        self.0.oidc.as_deref().ok_or_else(Problem::no_such_address)
    }

    async fn came_back(
        &self,
        oidc: &Oidc,
        request: &Request,
        attempt: Option<&Attempt>,
    ) -> Result<Person, Fault> {
        let attempt = attempt.ok_or(Fault::OtherTry)?;
        let answer = Answer::read(request.uri().query().unwrap_or_default());
        let answer = answer.ok_or(Fault::OtherProvider)?;
        // Whoever has a try of their own can come back with it again and again.
        let asks = self.0.gate.asks_provider(request);
        asks.map_err(|_| Fault::Busy)?;
        let prefix = Prefix::of(request);
        oidc.provider.person(answer, attempt, prefix.as_str()).await
    }

    async fn sign_in_person(
        &self,
        oidc: &Oidc,
        request: &Request,
        person: &Person,
        next: Option<String>,
        now: Moment,
    ) -> Result<Response, Problem> {
        let sessions = &self.0.sessions;
        let caller = Caller {
            name: person.name.as_str().into(),
            role: person.role,
        };
        let session = sessions.new_login(&caller, &oidc.provider, now)?;
        self.store_session(request, &session, &caller, now).await?;
        let prefix = Prefix::of(request);
        let base = prefix.as_str().to_owned();
        let mut answer = render(&SignedInPage {
            base: base.clone(),
            assets_version: assets::version(),
            frame: Frame {
                base: base.clone(),
                assets_version: assets::version(),
                who: None,
                done: None,
            },
            next: format!("{base}{}", next.as_deref().unwrap_or("/")),
        });
        sessions.begin(&mut answer, &session);
        Ok(answer)
    }

    /// The page where people sign in, which says why this try has failed.
    fn not_signed_in(&self, request: &Request, fault: &Fault, next: Option<&str>) -> Response {
        let gate = &self.0.gate;
        let address = gate.client(request);
        let problem = match fault {
            Fault::Away(why) => {
                if let Some(held_back) = self.0.failed_logins.due() {
                    tracing::warn!(
                        why,
                        held_back,
                        "the identity provider of hosts cannot be reached"
                    );
                }
                Problem::new(
                    ProblemKind::StoreUnavailable,
                    "The identity provider cannot be reached now. Try again in a moment, or sign in with a token.",
                )
            }
            Fault::Busy => Problem::new(
                ProblemKind::StoreUnavailable,
                "Too many people sign in now. Try again in a moment.",
            ),
            Fault::NoRole(name) => {
                tracing::warn!(name, %address, "refused: the identity provider gives this person no role");
                Problem::new(
                    ProblemKind::Forbidden,
                    "You are signed in at the identity provider, but you have no role here. Who runs this system can say how to get one.",
                )
            }
            fault => {
                let (told, why) = match fault {
                    Fault::Code(why) => (
                        "The identity provider does not accept this sign-in any more. Sign in again.",
                        why.as_str(),
                    ),
                    Fault::Token(why) => (
                        "What the identity provider has sent is not valid, so you are not signed in. Who runs this system finds the cause in its log.",
                        *why,
                    ),
                    Fault::Refused => (
                        "The identity provider has not signed you in.",
                        "the provider has signed nobody in",
                    ),
                    Fault::OtherProvider => (
                        "This answer is not from the identity provider of this system, so you are not signed in.",
                        "the answer is not of this provider",
                    ),
                    _ => (
                        "This sign-in was begun in another browser or more than 10 minutes ago, or it is finished. Sign in again.",
                        "the answer is for no sign-in of this browser",
                    ),
                };
                if let Some(held_back) = self.0.failed_logins.due() {
                    tracing::warn!(why, %address, held_back, "the identity provider did not sign a person in");
                }
                gate.wrong_login(request, Problem::unauthorized(told))
            }
        };
        sign_in::failed(self, request, &problem, next)
    }

    /// Whether somebody is signed in by the provider.
    pub(super) fn is_by_provider(known: &Known) -> bool {
        matches!(known, Known::Signed(session, _) if session.is_by_provider())
    }
}
