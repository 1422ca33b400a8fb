//! Builds a result service.

use std::{fmt, sync::Arc};

use voting_core::{PollDirectory, TallyStore, model::secrets::Secrets};

use super::{Inner, ResultService, granted::Granted, share::png::Pictures};
use crate::{
    cache::{live::LiveTallies, polls::Polls},
    edge::options::{Options, option_methods},
    pages::site::Site,
    tokens::receipt_key::ReceiptKey,
};

/// Makes a [`ResultService`]; see [`ResultService::builder`].
#[must_use]
pub struct ResultServiceBuilder {
    tallies: Arc<dyn TallyStore>,
    polls: Arc<dyn PollDirectory>,
    secrets: Secrets,
    site: Site,
    options: Options,
}

impl ResultServiceBuilder {
    pub(super) fn new(
        tallies: Arc<dyn TallyStore>,
        polls: Arc<dyn PollDirectory>,
        secrets: Secrets,
    ) -> Self {
        Self {
            tallies,
            polls,
            secrets,
            site: Site::default(),
            options: Options::default(),
        }
    }

    /// Sets what pages know of their surroundings: addresses, the other service, the poll at `/`.
    pub fn site(mut self, site: Site) -> Self {
        self.site = site;
        self
    }

    option_methods!();

    /// Builds the service.
    pub fn build(self) -> ResultService {
        let polls = Polls::new(self.polls, self.site.default_poll.clone());
        ResultService(Arc::new(Inner {
            live: LiveTallies::new(Arc::clone(&self.tallies), polls.clone()),
            tallies: self.tallies,
            polls,
            receipts: ReceiptKey::new(&self.secrets),
            granted: Granted::new(&self.secrets, self.site.is_https()),
            renews_cookies: !self.secrets.others().is_empty(),
            site: self.site,
            pictures: Pictures::default(),
            options: self.options,
        }))
    }
}

impl fmt::Debug for ResultServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResultServiceBuilder")
            .field("site", &self.site)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
