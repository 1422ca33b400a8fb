//! Casts ballots over one connection, one after another.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request,
    header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue},
};
use tokio::time::{sleep, timeout};

use crate::{
    casting::{
        answer::{Cookie, Outcome, cookie_of, outcome},
        pace::Pacer,
        shared::Shared,
        voters::Sending,
    },
    http::{Connection, NoAnswer, Place, body_of},
};

/// If the plan has no rate, how long a voter who was refused waits.
const PAUSE: Duration = Duration::from_millis(20);

/// How long it may take to open a connection; then the next place is tried. TCP sends its request a second time after
/// one second, which is needed when many connect at the same time.
const CONNECTING: Duration = Duration::from_secs(2);

/// How often a connection that was closed before its use is opened again.
const ATTEMPTS: usize = 3;

/// A connection to one of the places of a generation.
type Open = (Connection, Place, u64);

pub(crate) struct Caster {
    shared: Arc<Shared>,
    open: Option<Open>,
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
            let ballot = self.shared.voters().next();
            let (outcome, cookie) = self.cast(&ballot).await;
            let turned_away = matches!(outcome, Outcome::Refused | Outcome::Unreachable);
            self.shared.voters().learn(&ballot, due, outcome, cookie);
            if turned_away && !pacer.is_open() {
                sleep(PAUSE).await;
            }
        }
    }

    async fn cast(&mut self, ballot: &Sending) -> (Outcome, Option<Cookie>) {
        for _ in 0..ATTEMPTS {
            let Some(open) = self.connection().await else {
                return (Outcome::Unreachable, None);
            };
            let Some(request) = self.request(ballot, &open.1) else {
                let what = "the ballot makes no valid request".to_owned();
                return (Outcome::Unexpected(what), None);
            };
            // The connection is not kept: an answer that arrives after the limit would be read as the answer to the
            // next ballot.
            let limit = self.shared.plan.timeout;
            match timeout(limit, self.send(open, request)).await {
                Ok(Some(answered)) => return answered,
                Ok(None) => {}
                Err(_) => return (Outcome::Unknown, None),
            }
        }
        (Outcome::Unreachable, None)
    }

    /// Sends a ballot, and keeps the connection if it can be used again. `None` if the service has seen nothing of
    /// the ballot.
    async fn send(
        &mut self,
        mut open: Open,
        request: Request<Full<Bytes>>,
    ) -> Option<(Outcome, Option<Cookie>)> {
        let answer = match open.0.send(request).await {
            Ok(answer) => answer,
            Err(NoAnswer::Unsent(_)) => return None,
            Err(NoAnswer::Broken(_)) => return Some((Outcome::Unknown, None)),
        };
        let (status, headers) = (answer.status(), answer.headers().clone());
        let cookie = cookie_of(&headers);
        let Ok(body) = body_of(answer).await else {
            return Some((Outcome::Unknown, cookie));
        };
        let outcome = outcome(status, &headers, &body, self.shared.plan.form);
        if matches!(outcome, Outcome::Acknowledged(_) | Outcome::Refused) {
            self.open = Some(open);
        }
        Some((outcome, cookie))
    }

    /// The open connection, or a new one to the first place that accepts it, as through a load balancer.
    async fn connection(&mut self) -> Option<Open> {
        let limit = CONNECTING.min(self.shared.plan.timeout);
        if let Some((mut connection, place, generation)) = self.open.take()
            && generation == self.shared.generation()
            && timeout(limit, connection.is_ready()).await == Ok(true)
        {
            return Some((connection, place, generation));
        }
        let (places, turn, generation) = self.shared.place();
        for place in places[turn..].iter().chain(&places[..turn]) {
            if let Ok(Ok(connection)) = timeout(limit, Connection::open(place)).await {
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
        if let Some((name, value)) = &ballot.credential {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            headers.insert(name, HeaderValue::from_str(value).ok()?);
        }
        Some(request)
    }
}
