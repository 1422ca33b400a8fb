//! How polls are stored and how long they are kept, by the settings.

use voting_core::{
    PollStore,
    model::poll_key::PollKeyWrap,
    pipeline::{poll_keys::KeyedPolls, retention::KeptDays},
};

use super::config::Config;

impl Config {
    /// A store that gives new polls the keys that the settings ask for. `keys` is what wraps them, if the deployment has
    /// it.
    pub fn keyed_polls<S: PollStore>(&self, store: S, keys: Option<PollKeyWrap>) -> KeyedPolls<S> {
        KeyedPolls::new(store, keys).with_pseudonyms(self.voter_pseudonyms)
    }

    /// How long final polls and their voters are kept.
    pub fn kept_days(&self) -> KeptDays {
        KeptDays {
            voters: self.forget_voters_days,
            polls: self.retention_days,
        }
    }
}
