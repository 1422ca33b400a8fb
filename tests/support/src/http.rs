//! Asking services, also by the operator's API.

use std::time::Duration;

use serde_json::{Value, json};
use ureq::{Agent, Body, http::Response};

use crate::wait::await_some;

/// A client that takes each status for an answer.
pub fn agent() -> Agent {
    agent_within(Duration::from_secs(20))
}

/// The same, for answers that come within this time.
pub fn agent_within(limit: Duration) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(limit))
        .build()
        .new_agent()
}

/// The JSON at an address, if it is there and comes in time.
pub fn get_json(url: &str) -> Option<Value> {
    get_json_by(&agent(), url)
}

/// The same, by this client.
pub fn get_json_by(agent: &Agent, url: &str) -> Option<Value> {
    json_of(agent.get(url).call().ok()?)
}

/// Whether a service is ready. No answer is a no.
pub fn is_ready(agent: &Agent, url: &str) -> bool {
    let asked = agent.get(format!("{url}/readyz")).call();
    asked.is_ok_and(|answer| answer.status() == 200)
}

/// The text of an answer.
///
/// # Panics
/// It is none.
pub fn text_of(mut answer: Response<Body>) -> String {
    answer.body_mut().read_to_string().expect("a text")
}

fn json_of(mut answer: Response<Body>) -> Option<Value> {
    if answer.status() != 200 {
        return None;
    }
    serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()
}

/// The operator's API of a worker or an all-in-one.
#[derive(Debug)]
pub struct Operator {
    url: String,
    token: String,
    agent: Agent,
}

impl Operator {
    /// At this address, with this token.
    pub fn new(url: &str, token: &str) -> Self {
        Self {
            url: url.to_owned(),
            token: token.to_owned(),
            agent: agent(),
        }
    }

    /// Answers must come within this time.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.agent = agent_within(limit);
        self
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// The JSON at a path below `/v1/`.
    pub fn get(&self, path: &str) -> Option<Value> {
        let request = self.agent.get(format!("{}/v1/{path}", self.url));
        json_of(request.header("authorization", self.bearer()).call().ok()?)
    }

    /// The answer to a `POST` without a body.
    ///
    /// # Errors
    /// There is none.
    pub fn post(&self, path: &str) -> Result<Response<Body>, ureq::Error> {
        let request = self.agent.post(format!("{}/v1/{path}", self.url));
        let request = request.header("authorization", self.bearer());
        request.send_empty()
    }

    /// The answer to a `POST` of JSON.
    ///
    /// # Errors
    /// There is none.
    pub fn post_json(&self, path: &str, body: &Value) -> Result<Response<Body>, ureq::Error> {
        let request = self.agent.post(format!("{}/v1/{path}", self.url));
        let request = request.header("authorization", self.bearer());
        let request = request.content_type("application/json");
        request.send(body.to_string())
    }

    /// Where all ballots are.
    pub fn pipeline(&self) -> Option<Value> {
        self.get("pipeline")
    }

    /// Where all ballots are, once none is pending.
    ///
    /// # Panics
    /// Some are still pending after a minute.
    #[track_caller]
    pub fn settled(&self) -> Value {
        await_some("all ballots are counted", || {
            let pipeline = self.pipeline()?;
            (pipeline["pending"] == 0).then_some(pipeline)
        })
    }

    /// Counts the ballots of a poll again.
    pub fn recount(&self, poll: &str) -> Option<Value> {
        json_of(self.post(&format!("polls/{poll}/recount")).ok()?)
    }

    /// Asks to close a poll.
    ///
    /// # Panics
    /// The request is refused.
    #[track_caller]
    pub fn close(&self, poll: &str) {
        let answer = self.post(&format!("polls/{poll}/close"));
        assert_eq!(answer.expect("an answer").status(), 202);
    }

    /// Adds a poll of two options, `a` and `b`, if that is taken.
    pub fn add_poll(&self, poll: &str, title: &str) -> Option<()> {
        let options = json!([{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]);
        let poll = json!({"id": poll, "title": title, "options": options});
        let answer = self.post_json("polls", &poll).ok()?;
        answer.status().is_success().then_some(())
    }
}
