//! Builds a vote service.

use std::{fmt, sync::Arc};

use voting_core::{
    PollDirectory, TallyStore, VoteSink,
    model::{poll_key::PollKeyWrap, secrets::Secrets},
    pipeline::rule::BallotRule,
};

use super::{
    Inner, VoteService, electors::Electors, login::LoginCheck, logins::Logins,
    memory::BallotCookies, metrics::CastMetrics, order::Orders, proof::Proofs,
    secret_guard::SecretGuard,
};
use crate::{
    cache::{live::LiveTallies, polls::Polls},
    edge::{
        identity::Identify,
        options::{Options, option_methods},
        visitor::{VoterCookies, Voters},
    },
    pages::site::Site,
    tokens::{grant::GrantKey, receipt_key::ReceiptKey, signed::VoterTags},
};

/// Makes a [`VoteService`]; see [`VoteService::builder`].
#[must_use]
pub struct VoteServiceBuilder {
    sink: Arc<dyn VoteSink>,
    polls: Arc<dyn PollDirectory>,
    tallies: Option<Arc<dyn TallyStore>>,
    secrets: Secrets,
    site: Site,
    identity: Option<Arc<dyn Identify>>,
    rule: Option<Arc<dyn BallotRule>>,
    keys: Option<PollKeyWrap>,
    logins: Logins,
    options: Options,
}

impl VoteServiceBuilder {
    pub(super) fn new(
        sink: Arc<dyn VoteSink>,
        polls: Arc<dyn PollDirectory>,
        secrets: Secrets,
    ) -> Self {
        Self {
            sink,
            polls,
            tallies: None,
            secrets,
            site: Site::default(),
            identity: None,
            rule: None,
            keys: None,
            logins: Logins::default(),
            options: Options::default(),
        }
    }

    /// Sets what pages know of their surroundings: addresses, the other service, the poll at `/`.
    pub fn site(mut self, site: Site) -> Self {
        self.site = site;
        self
    }

    /// Sets the store that has the results. With it, the page of a poll whose count is final shows the result, if the poll's rule
    /// shows it to everybody. Without it, that page has a link to the result service: a vote service needs no store.
    pub fn results(mut self, tallies: Arc<dyn TallyStore>) -> Self {
        self.tallies = Some(tallies);
        self
    }

    /// Sets who says who the voter of a request is. By default, the service's own signed cookie names the voter, and
    /// a request without that cookie comes from a new voter. With an identity of the application's own, the service
    /// neither sets nor reads that cookie.
    pub fn identify(mut self, identity: impl Identify + 'static) -> Self {
        self.identity = Some(Arc::new(identity));
        self
    }

    /// Sets a rule that is asked before a ballot is cast. A ballot that it refuses is answered 403,
    /// `urn:voting:problem:not-eligible`, with the rule's words; if it cannot tell, 503.
    ///
    /// This rule tells voters early. The worker's rule decides
    /// ([`Worker::with_rule`](voting_core::Worker::with_rule)): give the same rule to both.
    pub fn validate(mut self, rule: impl BallotRule + 'static) -> Self {
        self.rule = Some(Arc::new(rule));
        self
    }

    /// Sets the keys under which the keys of polls are wrapped. Without them the service takes no votes in a poll that has a
    /// key: each poll with codes, and each poll that was made while the process that makes polls had such a key.
    pub fn poll_keys(mut self, keys: PollKeyWrap) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Sets how people sign in to vote in polls whose voters are [`Identity`](voting_core::model::poll::Voters::Identity). By
    /// default nobody can, so such polls take no votes.
    pub fn logins(mut self, logins: Logins) -> Self {
        self.logins = logins;
        self
    }

    option_methods!();

    /// Builds the service.
    pub fn build(self) -> VoteService {
        let Self {
            sink,
            polls,
            tallies,
            secrets,
            site,
            identity,
            rule,
            keys,
            logins,
            options,
        } = self;
        let guard = Arc::new(SecretGuard::new(Arc::clone(&sink), secrets.known()));
        let voters = match identity {
            Some(identity) => Voters::Application(identity),
            None => {
                let cookies = VoterCookies::new(&secrets, site.is_https());
                let guard = Arc::<SecretGuard>::clone(&guard);
                Voters::Cookie(Arc::new(cookies.refusing(guard)))
            }
        };
        let polls = Polls::new(polls, site.default_poll.clone());
        let results = tallies.map(|tallies| LiveTallies::new(tallies, polls.clone()));
        VoteService(Arc::new(Inner {
            sink,
            guard,
            polls,
            results,
            receipts: ReceiptKey::new(&secrets),
            voters,
            rule,
            tags: VoterTags::new(&secrets),
            electors: Electors::new(&secrets, keys, site.is_https()),
            logins: LoginCheck::new(&secrets, logins, site.is_https()),
            ballots: BallotCookies::new(&secrets, site.is_https()),
            orders: Orders::new(secrets.current()),
            grants: GrantKey::new(&secrets),
            proofs: Proofs::new(secrets.current()),
            metrics: CastMetrics::default(),
            renews_cookies: !secrets.others().is_empty(),
            site,
            options,
        }))
    }
}

impl fmt::Debug for VoteServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VoteServiceBuilder")
            .field("site", &self.site)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
