//! A browser without scripts at the host's pages.

use voting_core::{
    PollStore,
    model::poll::{PollChange, PollSettings},
};

use super::{Answer, BROWSER, FORM, OPERATOR_TOKEN, Services, get, send};

/// A browser at the host's pages.
pub struct Browser {
    pub services: Services,
    pub cookie: String,
}

fn encoded(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    form.finish().into_bytes()
}

impl Browser {
    pub fn new(services: Services) -> Self {
        Self {
            services,
            cookie: String::new(),
        }
    }

    /// Somebody who has just signed in.
    pub fn signed_in() -> Self {
        let mut browser = Self::new(Services::start());
        browser.sign_in();
        browser
    }

    pub fn sign_in(&mut self) {
        self.sign_in_with(OPERATOR_TOKEN);
    }

    pub fn sign_in_with(&mut self, token: &str) {
        let answer = self.post("/sign-in", &[("sign_in_token", token)]);
        assert_eq!(answer.status, 303, "{}", answer.body);
        self.cookie = answer.cookie();
    }

    pub fn get(&self, path: &str) -> Answer {
        let url = format!("{}{path}", self.services.operator);
        get(&url, &[BROWSER, ("cookie", &self.cookie)])
    }

    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_with(path, fields, &[("sec-fetch-site", "same-origin")])
    }

    pub fn post_with(&self, path: &str, fields: &[(&str, &str)], more: &[(&str, &str)]) -> Answer {
        let url = format!("{}{path}", self.services.operator);
        let headers = [&[FORM, BROWSER, ("cookie", &*self.cookie)], more].concat();
        send("POST", &url, &headers, &encoded(fields))
    }

    /// Stores a poll with these settings.
    pub fn poll(&self, id: &str, set: impl FnOnce(&mut PollSettings), is_draft: bool) {
        let mut settings = PollSettings::default();
        set(&mut settings);
        let poll = super::poll(id, &[("a", "A"), ("b", "B")], 1);
        let mut poll = poll.with_settings(settings).expect("a poll");
        if is_draft {
            poll = poll.as_draft();
        }
        let change = PollChange::put(poll);
        let stored = self.services.memory.change_poll(&change, "operator");
        self.services.block_on(stored).expect("stored");
    }
}
