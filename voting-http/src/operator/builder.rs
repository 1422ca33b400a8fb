//! Builds an operator service.

use std::{
    fmt,
    sync::{Arc, Once},
    time::Duration,
};

use tokio::sync::Semaphore;
use voting_core::{
    BallotQueue, PollDirectory, PollStore, SecretKey, VoteSink, WorkerHandle,
    model::{poll_key::PollKeyWrap, secrets::Secrets},
    pipeline::coordinator::Coordinator,
    store::Store,
};

use super::{
    Inner, OperatorService, Pipeline, bulk::BulkCasts, events, export, overview::Overview,
};
use crate::{
    edge::callers::Callers,
    edge::options::{Options, option_methods},
    host::{
        self,
        oidc::{HostLogins, Oidc},
    },
    pages::site::Site,
    server::gate::Gate,
    tokens::signed::OperatorKey,
    webhooks::Webhooks,
};

/// Makes an [`OperatorService`]; see [`OperatorService::builder`].
#[must_use]
pub struct OperatorServiceBuilder {
    pipeline: Pipeline,
    token: SecretKey,
    gate: Gate,
    site: Site,
    keys: Option<PollKeyWrap>,
    bulk: Option<(Arc<dyn VoteSink>, Secrets)>,
    webhooks: Option<Webhooks>,
    idle: Duration,
    logins: Option<HostLogins>,
    options: Options,
}

impl OperatorServiceBuilder {
    pub(super) fn new(
        worker: WorkerHandle,
        queue: Arc<dyn BallotQueue>,
        store: Arc<dyn Store>,
        operator_token: &SecretKey,
    ) -> Self {
        let directory: Arc<dyn PollDirectory> = Arc::<dyn Store>::clone(&store);
        Self {
            pipeline: Pipeline {
                worker,
                queue,
                polls: Arc::<dyn Store>::clone(&store),
                store,
                directory,
                coordinator: None,
            },
            token: operator_token.clone(),
            gate: Gate::default(),
            site: Site::default(),
            keys: None,
            bulk: None,
            webhooks: None,
            idle: host::IDLE,
            logins: None,
            options: Options::default(),
        }
    }

    /// Sets where polls are stored and changed. By default this is the store. Set it if changes must be announced
    /// ([`Coordinator::polls`](voting_core::pipeline::coordinator::Coordinator::polls)).
    pub fn polls(mut self, polls: Arc<dyn PollStore>) -> Self {
        self.pipeline.polls = polls;
        self
    }

    /// The service is ready only once this coordinator has set up what it is to set up, such as the tables and the
    /// configured polls. By default the service does not wait for this.
    pub fn coordinator(mut self, coordinator: &Coordinator) -> Self {
        self.pipeline.coordinator = Some(coordinator.clone());
        self
    }

    /// Sets where the vote services look polls up. By default this is the store. Set it if they read a copy of the
    /// polls, as in Redis.
    pub fn directory(mut self, directory: Arc<dyn PollDirectory>) -> Self {
        self.pipeline.directory = directory;
        self
    }

    /// Sets the address that hosts use, and in [`Site::peer`] where the voting page is: the host's pages show its
    /// address. With a public URL of `https://`, cookies are marked secure. The other fields of the site are not used.
    pub fn site(mut self, site: Site) -> Self {
        self.site = site;
        self
    }

    /// Sets the limits of the service. It must be served with the same gate.
    pub fn gate(mut self, gate: Gate) -> Self {
        self.gate = gate;
        self
    }

    /// Sets the keys under which the keys of polls are wrapped. Without them no codes are issued. New polls get their keys
    /// where they are stored, see [`KeyedPolls`](voting_core::pipeline::poll_keys::KeyedPolls).
    pub fn poll_keys(mut self, keys: PollKeyWrap) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Takes ballots that trusted servers hand in for voters, and casts them into `sink`, which should be
    /// [for a trusted server](voting_core::GroupCommit::for_trusted_server): `Voting::bulk_sink`. The receipts are made with the
    /// secrets of the vote service. Without it the service takes no ballots.
    pub fn bulk_casts(mut self, sink: Arc<dyn VoteSink>, secrets: impl Into<Secrets>) -> Self {
        self.bulk = Some((sink, secrets.into()));
        self
    }

    /// Lets hosts make webhooks. Run [`Webhooks::keep_sending`] beside the service. Without it the service has no webhooks.
    pub fn webhooks(mut self, webhooks: Webhooks) -> Self {
        self.webhooks = Some(webhooks);
        self
    }

    /// Sets how long somebody who does nothing stays signed in to the host's pages. Default: an hour. In any case people sign
    /// in again after 12 hours.
    pub fn idle_time_out(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Lets people sign in to the host's pages at an identity provider, beside the form for a token.
    pub fn host_logins(mut self, logins: HostLogins) -> Self {
        self.logins = Some(logins);
        self
    }

    option_methods!();

    /// Builds the service.
    pub fn build(self) -> OperatorService {
        let site = self.site.with_gate(self.gate.clone());
        let oidc = self.logins.map(|logins| {
            let oidc = Oidc::new(logins, &self.token, site.is_https());
            Arc::new(oidc)
        });
        let bulk = self.bulk.map(|(sink, secrets)| {
            let directory = Arc::clone(&self.pipeline.directory);
            Arc::new(BulkCasts::new(sink, secrets, directory, self.keys.clone()))
        });
        let store = Arc::clone(&self.pipeline.store);
        let tokens = Arc::<dyn Store>::clone(&self.pipeline.store);
        OperatorService(Arc::new(Inner {
            pipeline: self.pipeline,
            overview: Overview::default(),
            asking: Once::new(),
            callers: Callers::new(OperatorKey::new(&self.token), tokens),
            sessions: host::sessions(&self.token, &site, self.idle),
            oidc,
            gate: self.gate,
            site,
            keys: self.keys,
            bulk,
            webhooks: self.webhooks,
            exports: Arc::new(Semaphore::new(export::AT_ONCE)),
            followers: Arc::new(Semaphore::new(events::FOLLOWERS)),
            newest_event: events::Newest::new(store),
            options: self.options,
        }))
    }
}

impl fmt::Debug for OperatorServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperatorServiceBuilder")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
