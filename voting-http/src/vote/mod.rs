//! The vote service. It takes ballots, from the page's form or as JSON, and passes them to the sink. It has no state
//! of its own.

mod api;
#[cfg(test)]
mod both_ways;
mod builder;
mod code;
mod direct;
mod electors;
#[cfg(test)]
mod forged;
pub(crate) mod form;
mod login;
mod logins;
pub(crate) mod memory;
mod metrics;
mod order;
mod outcome;
mod page;
mod poll_cookie;
pub(crate) mod program_key;
mod proof;
mod receipt;
mod secret_guard;
mod start_over;
mod state;

use std::{sync::Arc, time::Instant};

use poem::{IntoEndpoint, Request, get, post};
use poem_openapi::OpenApiService;
use voting_core::{
    Ballot, CastError, Choices, Poll, PollDirectory, PollId, Receipt, VoteSink, VoterId,
    model::{poll::Voters as Electorate, secrets::Secrets},
    pipeline::rule::BallotRule,
};

pub(crate) use self::logins::jwt;
pub use self::{
    builder::VoteServiceBuilder,
    logins::{InvalidHeader, KeySource, Logins, ProxyLogins, TokenLogins},
};
use self::{
    direct::Casts,
    electors::Electors,
    login::LoginCheck,
    memory::BallotCookies,
    metrics::CastMetrics,
    order::Orders,
    proof::Proofs,
    secret_guard::{SecretGuard, Shut},
};
use crate::{
    cache::{live::LiveTallies, polls::Polls},
    edge::{
        Edge,
        cors::CrossOrigin,
        endpoint::ServiceEndpoint,
        options::Options,
        visitor::{Visitor, Voters},
    },
    pages::{assets, poll_list, poll_of_page::PagePlace, preview, site::Site},
    problem::{Problem, kind::ProblemKind},
    server::{
        api_routes::{ApiRoutes, Pages},
        document,
        gate::NewVoter,
        health::{self, Health},
        methods::Methods,
        metrics::Metrics,
        tower::HttpService,
    },
    tokens::{grant::GrantKey, receipt_key::ReceiptKey, signed::VoterTags},
};

/// The vote service over its stores.
#[derive(Clone)]
pub struct VoteService(Arc<Inner>);

struct Inner {
    sink: Arc<dyn VoteSink>,
    guard: Arc<SecretGuard>,
    polls: Polls,
    /// The results of polls that are final, if this process can read them.
    results: Option<LiveTallies>,
    receipts: ReceiptKey,
    voters: Voters,
    rule: Option<Arc<dyn BallotRule>>,
    tags: VoterTags,
    electors: Electors,
    logins: LoginCheck,
    ballots: BallotCookies,
    orders: Orders,
    grants: GrantKey,
    proofs: Proofs,
    metrics: CastMetrics,
    renews_cookies: bool,
    site: Site,
    options: Options,
}

impl VoteService {
    /// A service that casts into `sink`, for the polls in `polls`. All replicas and the result service need the same
    /// secret. While it is exchanged, give them [`Secrets`]: the one that signs, and the other one, which is only read.
    pub fn builder(
        sink: Arc<dyn VoteSink>,
        polls: Arc<dyn PollDirectory>,
        secrets: impl Into<Secrets>,
    ) -> VoteServiceBuilder {
        VoteServiceBuilder::new(sink, polls, secrets.into())
    }

    /// The patterns of all addresses that the service answers, such as `/polls/:poll` for pages and `/v1/polls/{poll}`
    /// for the API.
    pub fn routes(&self) -> Vec<String> {
        self.api_routes().patterns()
    }

    /// The service as an endpoint, to be served or mounted.
    pub fn into_endpoint(self) -> ServiceEndpoint {
        ServiceEndpoint::new(self.edge(self.api_routes()))
    }

    /// These routes, with what is around them.
    fn edge(&self, routes: ApiRoutes) -> Edge<ApiRoutes> {
        let methods = Methods::of(&self.openapi())
            .and(&["/", "/polls/:poll", "/polls/:poll/"], "GET, HEAD, POST")
            .and(
                &[
                    start_over::PATH,
                    "/polls/:poll/forget",
                    "/polls/:poll/withdraw",
                    "/polls/:poll/code",
                    "/polls/:poll/sign-out",
                ],
                "POST",
            );
        Edge::new(routes, &self.0.options)
            .with_methods(methods)
            .over_https(self.0.site.is_https())
            .themed(self.0.site.theme.clone())
            .renewing_cookies(self.0.renews_cookies)
            .taking_bodies()
            .for_voters(self.0.voters.clone(), self.0.site.clone())
    }

    fn api_routes(&self) -> ApiRoutes {
        let page = |place| {
            let (show, cast) = (self.clone(), self.clone());
            get(page::Show(show, place)).post(page::Cast(cast, place))
        };
        let options = &self.0.options;
        let health = self.health();
        let metrics = Metrics::new(health.clone(), |registry| {
            self.0.metrics.register(registry, &self.0.guard.foreign);
            self.0.site.gate.register(registry);
        });
        let list = Arc::new(poll_list::Show::new(&self.0.polls, &self.0.site));
        let mut pages = Pages::default()
            .at("/", page(PagePlace::Root))
            .at("/polls", get(list.clone()))
            .at("/polls/", get(list))
            .at("/polls/:poll", page(PagePlace::Named))
            // A form that is sent to this address must not be lost by a redirect.
            .at("/polls/:poll/", page(PagePlace::Named))
            .at("/polls/:poll/state", get(state::Follow(self.clone())))
            .at("/polls/:poll/forget", post(page::Forget(self.clone())))
            .at("/polls/:poll/withdraw", post(page::Withdraw(self.clone())))
            .at("/polls/:poll/c/:code", get(code::Follow(self.clone())))
            .at("/polls/:poll/code", post(code::Enter(self.clone())))
            .at("/polls/:poll/sign-out", post(login::SignOut(self.clone())))
            .at("/polls/:poll/result", get(page::SeeResult(self.clone())))
            .at("/polls/:poll/receipt", get(receipt::Show(self.clone())))
            .at(
                "/polls/:poll/receipt.txt",
                get(receipt::AsFile(self.clone())),
            )
            .at("/robots.txt", preview::robots())
            .nest("/assets", assets::route(self.0.site.theme.as_ref()));
        if self.0.voters.cookies().is_some() {
            let start_over = start_over::StartOver(self.clone());
            pages = pages.at(start_over::PATH, post(start_over));
        }
        ApiRoutes::new(
            self.documented(health),
            self.openapi(),
            metrics,
            pages,
            options.exposed,
        )
        .with_shortcuts(Casts::new(self))
    }

    /// The service for axum, hyper and other users of tower services. If it is mounted below a path, set `base_path`.
    pub fn into_service(self) -> HttpService {
        HttpService::new(self)
    }

    /// The OpenAPI document of the service, as JSON.
    pub fn openapi(&self) -> String {
        let derived = self.documented(self.health()).spec();
        let known: &[_] = &[api::OPERATIONS, health::OPERATIONS];
        match self.0.voters.cookies() {
            Some(cookies) => document::complete(&derived, Some(cookies.name()), known),
            None => {
                let completed = document::complete(&derived, None, known);
                document::describe(&completed, "castBallot", api::CAST_BY_LOGIN)
            }
        }
    }

    fn health(&self) -> Health {
        let (sink, polls) = (Arc::clone(&self.0.sink), self.0.polls.clone());
        let guard = Arc::clone(&self.0.guard);
        Health::new("vote", self.0.options.stop.clone())
            .needs("ballot log", move || {
                let sink = Arc::clone(&sink);
                async move { sink.ready_to_cast().await }
            })
            .needs("secret", move || {
                let guard = Arc::clone(&guard);
                async move { guard.check().await }
            })
            .needs("polls", move || {
                let polls = polls.clone();
                async move { polls.check().await }
            })
    }

    fn documented(&self, health: Health) -> OpenApiService<(api::Api, Health), ()> {
        OpenApiService::new(
            (api::Api(self.clone()), health),
            "Vote",
            env!("CARGO_PKG_VERSION"),
        )
        .description("Casts ballots.")
    }

    /// The id under which the sender votes in this poll, if the request says who the sender is. `from_page` is the voter's
    /// tag in a request from one of our pages.
    fn identify(
        &self,
        request: &Request,
        poll: &Poll,
        visitor: Visitor,
        from_page: Option<&str>,
    ) -> Result<VoterId, Problem> {
        // The page has set a cookie. A script of another origin gets one with this answer, at the latest. A browser
        // that keeps no cookies would be a new voter with each click.
        let in_browser = from_page.is_some() || request.data::<CrossOrigin>().is_some();
        if in_browser && visitor.is_new() {
            return Err(Problem::cookies_needed());
        }
        // A click must not count as the vote of another person who has signed in since.
        let can_change = visitor.is_named() || visitor.has_code() || visitor.has_login();
        if can_change && from_page.is_some_and(|tag| !self.0.tags.is(tag, visitor.id())) {
            return Err(Problem::voter_changed());
        }
        let voter = self.voter_in(poll, visitor);
        match &voter {
            Ok(_) => {}
            Err(problem) if problem.kind() == ProblemKind::ForeignSecret => {
                self.0.metrics.foreign_secret();
            }
            Err(_) => self.0.metrics.unidentified(),
        }
        voter
    }

    /// Who sent a request that casts a ballot.
    async fn caster(&self, request: &Request, poll: &Poll) -> Result<Visitor, Problem> {
        let visitor = self.visitor(request, poll).await;
        visitor.inspect_err(|_| self.0.metrics.unidentified())
    }

    /// Whether the log accepts ballots of a service with this secret.
    async fn admit(&self) -> Result<(), Problem> {
        match self.0.guard.admit().await {
            Ok(()) => Ok(()),
            Err(Shut::Foreign) => {
                self.0.metrics.foreign_secret();
                Err(Problem::foreign_secret())
            }
            Err(Shut::Unknown(why)) => {
                let refused = Err::<(), _>(CastError::Refused(why.into()));
                self.0.metrics.cast(0.0, &refused);
                Ok(refused?)
            }
        }
    }

    /// Counts a voter who has not voted in the poll before, as far as the request shows, for the client's address.
    fn new_voter(
        &self,
        request: &Request,
        poll: &Poll,
        visitor: Visitor,
        is_back: bool,
        proof: Option<&str>,
    ) -> Result<NewVoter<'_>, Problem> {
        // Neither a voter whom the application names nor a voter with a code is made by dropping a cookie.
        let is_open = poll.settings().voters == Electorate::Open;
        // A ballot that was taken back says nothing: it cost no proof.
        let has_voted = || {
            let kept = || self.kept(request, poll, visitor).vote;
            !is_open || visitor.is_named() || kept().is_some_and(|vote| !vote.is_withdrawn())
        };
        let show_proof = || self.check_proof(poll, visitor, proof);
        let gate = &self.0.site.gate;
        gate.new_voter(request, poll.id(), is_back, has_voted, show_proof)
    }

    /// Whether the log can have blank ballots of this poll; or, if `is_back`, ballots that take one back.
    fn takes_empty(&self, poll: &Poll, is_back: bool) -> bool {
        self.0.sink.takes_empty_ballots() && !(is_back && poll.keeps_ballots())
    }

    /// Casts what a voter says. `proof` is what the voter shows when very many new voters come.
    async fn cast(
        &self,
        request: &Request,
        poll: &Poll,
        visitor: Visitor,
        voter: VoterId,
        choices: impl FnOnce() -> Result<Choices, Problem>,
        proof: Option<&str>,
    ) -> Result<(Choices, Receipt), Problem> {
        // This check tells the voter early. The log refuses ballots of a poll whose closing is not known here yet.
        if !poll.state().is_open() {
            return Err(Problem::poll_closed());
        }
        let choices = choices()?;
        let is_back = choices == Choices::WITHDRAWN;
        if choices.is_empty() && !self.takes_empty(poll, is_back) {
            return Err(Problem::empty_ballots_not_taken());
        }
        self.admit().await?;
        let ballot = Ballot {
            poll: PollId::clone(poll.id()),
            voter,
            choices,
            rules: poll.rules(),
        };
        if let Some(rule) = &self.0.rule {
            let verdict = rule.check(&ballot, poll).await?;
            verdict.map_err(|refusal| Problem::refused_by_rule(&refusal))?;
        }
        let new_voter = self.new_voter(request, poll, visitor, is_back, proof)?;
        let begun = Instant::now();
        let receipt = self.0.sink.cast(ballot).await;
        self.0.metrics.cast(begun.elapsed().as_secs_f64(), &receipt);
        if receipt.is_err() {
            new_voter.take_back();
        }
        Ok((choices, receipt?))
    }
}

impl IntoEndpoint for VoteService {
    type Endpoint = ServiceEndpoint;

    fn into_endpoint(self) -> ServiceEndpoint {
        Self::into_endpoint(self)
    }
}

impl std::fmt::Debug for VoteService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VoteService")
            .field("site", &self.0.site)
            .finish_non_exhaustive()
    }
}
