//! Casts ballots over one connection, one after another.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request,
    header::{CONTENT_TYPE, COOKIE, HOST, HeaderValue},
};
use tokio::time::{sleep, timeout};

use crate::{
    answer::{Cookie, Outcome, cookie_of, outcome},
    crowd::Sending,
    http::{Connection, NoAnswer, Place, body_of},
    load::Shared,
    pace::Pacer,
};

/// Without a given rate, how long a voter who was turned away stays away.
const PAUSE: Duration = Duration::from_millis(20);

/// A connection that was closed before it was used is opened anew so often.
const ATTEMPTS: usize = 3;

pub(crate) struct Caster {
    shared: Arc<Shared>,
    /// To one of the places of a generation.
    open: Option<(Connection, Place, u64)>,
    path: String,
    bodies: Vec<Bytes>,
}

impl Caster {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let plan = &shared.plan;
        let (poll, form) = (&plan.poll, plan.form);
        let path = if form {
            format!("/polls/{poll}")
        } else {
            format!("/v1/polls/{poll}/ballot")
        };
        let body = |option: &String| {
            Bytes::from(if form {
                format!("vote={option}")
            } else {
                serde_json::json!({"choices": [option]}).to_string()
            })
        };
        Self {
            path,
            bodies: plan.options.iter().map(body).collect(),
            open: None,
            shared,
        }
    }

    pub(crate) async fn run(mut self, pacer: Arc<Pacer>) {
        while let Some(due) = pacer.next().await {
            let ballot = self.shared.crowd().next();
            let (outcome, cookie) = self.cast(&ballot).await;
            let turned_away = matches!(outcome, Outcome::Refused | Outcome::Unreachable);
            self.shared.crowd().learn(&ballot, due, outcome, cookie);
            if turned_away && !pacer.is_open() {
                sleep(PAUSE).await;
            }
        }
    }

    async fn cast(&mut self, ballot: &Sending) -> (Outcome, Option<Cookie>) {
        let limit = self.shared.plan.timeout;
        let answered = timeout(limit, self.try_cast(ballot)).await;
        let Ok(answered) = answered else {
            // What comes yet on this connection would be taken for the answer to the next ballot.
            self.open = None;
            return (Outcome::Unknown, None);
        };
        if !matches!(answered.0, Outcome::Acknowledged(_) | Outcome::Refused) {
            self.open = None;
        }
        answered
    }

    async fn try_cast(&mut self, ballot: &Sending) -> (Outcome, Option<Cookie>) {
        for _ in 0..ATTEMPTS {
            let Some((mut connection, place, generation)) = self.connection().await else {
                return (Outcome::Unreachable, None);
            };
            let Some(request) = self.request(ballot, &place) else {
                let what = "the ballot makes no valid request".to_owned();
                return (Outcome::Unexpected(what), None);
            };
            match connection.send(request).await {
                Ok(answer) => {
                    let (status, headers) = (answer.status(), answer.headers().clone());
                    let cookie = cookie_of(&headers);
                    let Ok(body) = body_of(answer).await else {
                        return (Outcome::Unknown, cookie);
                    };
                    let form = self.shared.plan.form;
                    self.open = Some((connection, place, generation));
                    return (outcome(status, &headers, &body, form), cookie);
                }
                Err(NoAnswer::Unsent(_)) => {}
                Err(NoAnswer::Broken(_)) => return (Outcome::Unknown, None),
            }
        }
        (Outcome::Unreachable, None)
    }

    /// The open connection, or a new one to the first place that takes it, as through a load
    /// balancer.
    async fn connection(&mut self) -> Option<(Connection, Place, u64)> {
        if let Some((mut connection, place, generation)) = self.open.take()
            && generation == self.shared.generation()
            && connection.is_ready().await
        {
            return Some((connection, place, generation));
        }
        let (places, turn, generation) = self.shared.place();
        for place in places[turn..].iter().chain(&places[..turn]) {
            if let Ok(connection) = Connection::open(place).await {
                return Some((connection, place.clone(), generation));
            }
        }
        None
    }

    fn request(&self, ballot: &Sending, place: &Place) -> Option<Request<Full<Bytes>>> {
        let form = self.shared.plan.form;
        let body = self.bodies[usize::from(ballot.option)].clone();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = if form { Method::POST } else { Method::PUT };
        *request.uri_mut() = place.target(&self.path).parse().ok()?;
        let headers = request.headers_mut();
        headers.insert(HOST, place.host());
        let kind = if form {
            "application/x-www-form-urlencoded"
        } else {
            "application/json"
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Some(cookie) = &ballot.cookie {
            headers.insert(COOKIE, HeaderValue::from_str(cookie).ok()?);
        }
        Some(request)
    }
}
