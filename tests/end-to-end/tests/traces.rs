//! A ballot is followed from the request over the log to the commit, by spans that a real receiver of OTLP
//! takes; and what is not to be followed is not, and costs nobody a vote.

mod support;

use std::{fs::File, net::TcpListener, path::Path};

use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};
use serde_json::Value;
use support::{
    Crowd,
    collector::{Collector, Seen},
    settled,
};
use voting_testing::{Deployment, PostgresServer, Service, agent, await_that};

/// Of a caller that is followed.
const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn followed(collector: &Collector, ratio: &str) -> Deployment {
    let mut deployment = Deployment::new();
    deployment.more = vec![
        ("VOTING_TRACES__ENDPOINT", collector.url.clone()),
        ("VOTING_TRACES__SAMPLE_RATIO", ratio.to_owned()),
    ];
    deployment
}

/// The answer to a ballot: its status, its cookie, and what it says.
fn cast(vote: &str, traceparent: Option<&str>) -> (u16, String, String) {
    let url = format!("{vote}/v1/polls/cats-vs-dogs/ballot?note=from-the-client");
    let mut ballot = agent().put(url).content_type("application/json");
    if let Some(traceparent) = traceparent {
        ballot = ballot.header("traceparent", traceparent);
    }
    let mut answer = ballot.send(r#"{"choices":["b"]}"#).expect("an answer");
    let cookie = answer.headers()["set-cookie"].to_str().expect("a text");
    let cookie = cookie.split(['=', ';']).nth(1).expect("a value").to_owned();
    let said = answer.body_mut().read_to_string().expect("a text");
    (answer.status().as_u16(), cookie, said)
}

fn await_ready(services: &[&Service]) {
    for service in services {
        await_that("it is ready", || service.is_ready());
    }
}

/// Asks them to stop; by then they have sent what they had.
fn stop(services: impl IntoIterator<Item = Service>) {
    for service in services {
        assert_eq!(service.stop().code(), Some(0));
    }
}

/// The only one of that name.
fn only<'a>(spans: &'a [Seen], service: &str, name: &str) -> &'a Seen {
    let mut found = spans
        .iter()
        .filter(|seen| seen.service == service && seen.name() == name);
    let first = found.next();
    let first = first.unwrap_or_else(|| panic!("no {name} of {service} in {spans:#?}"));
    assert!(found.next().is_none(), "{name} is there twice: {spans:#?}");
    first
}

const REQUEST: &str = "PUT /v1/polls/{id}/ballot";

/// The four spans of a ballot hang together.
fn is_followed_to_the_commit(spans: &[Seen], vote: &str, worker: &str) {
    let request = only(spans, vote, REQUEST);
    let send = only(spans, vote, "send ballots");
    let process = only(spans, worker, "process ballots");
    let flush = only(spans, worker, "flush");

    assert_eq!(request.span.kind(), SpanKind::Server);
    let said = request.attributes();
    assert_eq!(said["http.request.method"], "PUT");
    assert_eq!(said["http.route"], "/v1/polls/{id}/ballot");
    assert_eq!(said["http.response.status_code"], "202");

    assert_eq!(send.parent(), request.id());
    assert_eq!(send.span.kind(), SpanKind::Producer);
    let sent = send.attributes();
    assert_eq!(sent["messaging.operation.type"], "send");
    assert_eq!(sent["voting.entry.ballots"], "1");

    assert_eq!(process.parent(), send.id(), "over the log");
    assert_eq!(process.span.kind(), SpanKind::Consumer);
    let processed = process.attributes();
    assert_eq!(processed["messaging.operation.type"], "process");
    for same in ["messaging.message.id", "messaging.destination.partition.id"] {
        assert_eq!(processed[same], sent[same], "{same}");
    }
    assert_eq!(process.links(), [flush.id()]);

    assert_eq!(flush.links(), [process.id()]);
    assert!(
        flush.span.parent_span_id.is_empty(),
        "it is the work of many"
    );
    let flushed = flush.attributes();
    for (name, value) in [
        ("voting.batch.entries", "1"),
        ("voting.batch.ballots", "1"),
        ("voting.batch.dead_letters", "0"),
        ("voting.attempt", "1"),
        ("voting.counted", "1"),
        ("voting.shards", &sent["messaging.destination.partition.id"]),
    ] {
        assert_eq!(flushed[name], value, "{name}");
    }
    let (process, flush) = (&process.span, &flush.span);
    assert!(process.start_time_unix_nano <= flush.start_time_unix_nano);
    assert!(flush.end_time_unix_nano <= process.end_time_unix_nano);
}

fn lines(log: &Path) -> Vec<Value> {
    let log = std::fs::read_to_string(log).expect("a log");
    let lines = log.lines();
    lines
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

/// The names of the fields of all entries in the log.
fn fields(deployment: &Deployment) -> Vec<String> {
    let mut fields = Vec::new();
    for shard in 0..4 {
        let count = "local names = {}
             for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
                 for i = 1, #entry[2], 2 do names[#names + 1] = entry[2][i] end
             end
             return table.concat(names, ' ')";
        let key = format!("voting:{{{shard}}}:log");
        let names = deployment.redis.command(&["EVAL", count, "1", &key]);
        fields.extend(names.split_whitespace().map(str::to_owned));
    }
    fields
}

#[test]
fn a_ballot_is_followed_from_the_request_to_the_commit() {
    let collector = Collector::start();
    let mut deployment = followed(&collector, "1");
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    deployment.log = Some(File::create(&log).expect("a file"));
    deployment.more.extend([
        ("VOTING_LOG_FORMAT", "json".to_owned()),
        (
            "VOTING_LOG",
            "info,voting_core=debug,voting_http=debug".to_owned(),
        ),
    ]);
    let (worker, vote) = (deployment.worker(), deployment.vote());
    await_ready(&[&worker, &vote]);
    let (status, cookie, said) = cast(&vote.url, Some(CALLER));
    assert_eq!(status, 202);
    settled(&worker);
    assert_eq!(fields(&deployment), ["b", "n", "t"]);
    let owner = deployment.postgres.url("voting");
    let voter = PostgresServer::sql(&owner, "SELECT voter FROM ballots").expect("a voter");
    stop([vote, worker]);

    let spans = collector.spans();
    is_followed_to_the_commit(&spans, "voting-vote", "voting-worker");
    let request = only(&spans, "voting-vote", REQUEST);
    assert!(
        request.span.parent_span_id.is_empty(),
        "the client is a stranger"
    );
    let routine = |seen: &&Seen| seen.name().contains("readyz");
    assert_eq!(spans.iter().find(routine).map(Seen::name), None);

    // Nothing of who voted for what, and nothing of what the client made up.
    let receipt: Value = serde_json::from_str(&said).expect("a receipt");
    let receipt = receipt["receipt"].as_str().expect("a text");
    let plain = voter.replace('-', "");
    let secrets = [cookie.as_str(), receipt, &voter, &plain, "from-the-client"];
    for seen in &spans {
        let text = format!("{:?} {:?}", seen.span.name, seen.attributes());
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
        assert!(!text.contains("choice") && !text.contains("cats"), "{text}");
        assert_eq!(seen.span.dropped_attributes_count, 0);
    }

    // Who reads a log line finds the trace.
    let lines = lines(&log);
    let in_trace = |trace: &str, service: &str| {
        let found = lines.iter().any(|line| line["trace_id"] == trace);
        assert!(found, "no line of {service} has {trace}");
    };
    in_trace(&request.trace_id(), "voting-vote");
    let flush = only(&spans, "voting-worker", "flush");
    in_trace(&flush.trace_id(), "voting-worker");
    assert!(lines.iter().any(|line| line.get("trace_id").is_none()));
}

#[test]
fn a_ballot_is_followed_within_one_process() {
    let collector = Collector::start();
    let deployment = followed(&collector, "1");
    let folder = tempfile::tempdir().expect("a folder");
    let all = deployment.all_in_one(&folder.path().join("voting.db"));
    await_ready(&[&all]);
    assert_eq!(cast(&all.url, None).0, 202);
    // It ends when all is counted.
    stop([all]);
    is_followed_to_the_commit(&collector.spans(), "voting", "voting");
}

#[test]
fn what_goes_wrong_shows_in_the_trace() {
    let collector = Collector::start();
    let mut deployment = followed(&collector, "1");
    // Longer than the store is in trouble: an entry that is handed out again is processed again.
    let long = ("VOTING_REDIS__CLAIM_TIMEOUT_MS", "60000".to_owned());
    deployment.more.push(long);
    let (worker, vote) = (deployment.worker(), deployment.vote());
    await_ready(&[&worker, &vote]);
    let owner = deployment.postgres.url("voting");
    // A flush that fails, again and again, until it does not.
    let block = "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '40001'; END $$;
                 CREATE TRIGGER no BEFORE INSERT ON ballots EXECUTE FUNCTION no()";
    PostgresServer::sql(&owner, block).expect("done");
    assert_eq!(cast(&vote.url, None).0, 202);
    let attempts = |spans: &[Seen]| {
        let flushes = spans.iter().filter(|seen| seen.name() == "flush");
        flushes.cloned().collect::<Vec<_>>()
    };
    await_that("flushes have failed", || {
        attempts(&collector.spans()).len() >= 2
    });
    PostgresServer::sql(&owner, "DROP TRIGGER no ON ballots").expect("done");
    settled(&worker);
    deployment.redis.kill();
    let (status, ..) = cast(&vote.url, None);
    assert_eq!(status, 503);
    deployment.redis.launch();
    stop([vote, worker]);

    let spans = collector.spans();
    let attempts = attempts(&spans);
    let process = only(&spans, "voting-worker", "process ballots");
    let ids: Vec<_> = attempts.iter().map(Seen::id).collect();
    assert_eq!(process.links(), ids, "one for each attempt");
    for (number, attempt) in (1..).zip(&attempts) {
        assert_eq!(attempt.attributes()["voting.attempt"], number.to_string());
        let last = number == attempts.len();
        let error = attempt.attributes().get("error.type").cloned();
        assert_eq!(error.as_deref(), (!last).then_some("unavailable"));
        let status = attempt.span.status.clone().unwrap_or_default();
        assert_eq!(status.code() == StatusCode::Error, !last);
    }
    let failed = |name: &str, why: &str| {
        let mut of_name = spans.iter().filter(|seen| seen.name() == name);
        let found = of_name.find(|seen| {
            let kind = seen.attributes().get("error.type").cloned();
            kind.as_deref() == Some(why)
        });
        found.unwrap_or_else(|| panic!("no {name} with {why} in {spans:#?}"))
    };
    let request = failed(REQUEST, "503");
    assert_eq!(
        request.span.status.clone().unwrap_or_default().code(),
        StatusCode::Error
    );
    let sends = spans.iter().filter(|seen| seen.parent() == request.id());
    assert!(
        sends
            .into_iter()
            .any(|seen| seen.attributes().contains_key("error.type"))
    );
}

#[test]
fn a_caller_that_is_trusted_decides_what_is_followed() {
    let collector = Collector::start();
    let mut deployment = followed(&collector, "0");
    deployment
        .more
        .push(("VOTING_TRACES__TRUST_TRACEPARENT", "true".to_owned()));
    let (worker, vote) = (deployment.worker(), deployment.vote());
    await_ready(&[&worker, &vote]);
    assert_eq!(cast(&vote.url, None).0, 202);
    // Not in one batch with the other.
    settled(&worker);
    assert_eq!(cast(&vote.url, Some(CALLER)).0, 202);
    settled(&worker);
    stop([vote, worker]);
    let spans = collector.spans();
    is_followed_to_the_commit(&spans, "voting-vote", "voting-worker");
    let request = only(&spans, "voting-vote", REQUEST);
    assert_eq!(request.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    let parent: String = request
        .parent()
        .1
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(parent, "00f067aa0ba902b7");
}

#[test]
fn what_is_not_to_be_followed_leaves_no_trace() {
    let collector = Collector::start();
    let mut deployment = Deployment::new();
    // What other programs take for an order to send.
    deployment.more = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.clone())];
    let (worker, vote) = (deployment.worker(), deployment.vote());
    await_ready(&[&worker, &vote]);
    assert_eq!(cast(&vote.url, Some(CALLER)).0, 202);
    settled(&worker);
    // Traces are on, but none of this is to be followed.
    deployment.more = followed(&collector, "0").more;
    let (other_worker, other_vote) = (deployment.worker(), deployment.vote());
    await_ready(&[&other_worker, &other_vote]);
    assert_eq!(cast(&other_vote.url, Some(CALLER)).0, 202);
    settled(&worker);
    assert_eq!(fields(&deployment), ["b", "n", "b", "n"]);
    stop([vote, worker, other_vote, other_worker]);
    assert!(collector.spans().is_empty(), "{:#?}", collector.spans());
}

#[test]
fn a_collector_that_hangs_or_is_gone_costs_no_vote() {
    // One takes connections and says nothing; nobody listens at the other.
    let deaf = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let gone = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let [deaf_at, gone_at] = [&deaf, &gone].map(|socket| {
        let address = socket.local_addr().expect("an address");
        format!("http://{address}")
    });
    drop(gone);
    let mut deployment = Deployment::new();
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    deployment.log = Some(File::create(&log).expect("a file"));
    let follow_all = |url: &str| {
        vec![
            ("VOTING_TRACES__ENDPOINT", url.to_owned()),
            ("VOTING_TRACES__SAMPLE_RATIO", "1".to_owned()),
        ]
    };
    deployment.more = follow_all(&deaf_at);
    let vote = deployment.vote();
    deployment.more = follow_all(&gone_at);
    let (worker, result) = (deployment.worker(), deployment.result());
    await_ready(&[&worker, &vote, &result]);
    let crowd = Crowd::gather(&[&vote]);
    let said = |what: &str| {
        let log = std::fs::read_to_string(&log).expect("a log");
        log.matches(what).count()
    };
    // Each ballot has two spans in the vote service; after some time no more of them find room in its queue.
    await_that("the vote service says so", || said("dropped a Span") >= 1);
    await_that("the worker says so", || said("cannot deliver traces") >= 1);
    let known = crowd.disperse();
    assert_eq!((known.refused, known.unanswered), (0, 0));
    support::all_is_well(&worker, &result, &known);
    // They end although the one collector never answers.
    stop([vote, worker, result]);
    for what in ["cannot deliver traces", "dropped a Span"] {
        assert!(said(what) <= 3, "{what}: once by each service");
    }
}
