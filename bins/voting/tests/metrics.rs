//! Compares `docs/reference/metrics.md` with the metrics that the three services report.
//!
//! `UPDATE_DOCS=1 cargo test -p voting --test metrics` writes it again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

use tokio::task::{LocalSet, spawn_blocking, spawn_local};
use tokio_util::sync::CancellationToken;
use voting_service::{Config, Exit, Hidden, StopOn};
use voting_testing::{PostgresServer, RedisServer};

const DOCUMENT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/reference/metrics.md"
);

const INTRODUCTION: &str = "\
# Metrics reference

<!-- Generated from the services' /metrics: UPDATE_DOCS=1 cargo test -p voting --test metrics -->

What the services report at `/metrics`, in the OpenMetrics format, for Prometheus. Each part of the all-in-one reports the
same at its own address, except for the memory of Redis. [Operations](../operations.md) says which alerts use them. No label names a voter.

| metric | type | labels | reported by | what it says |
| --- | --- | --- | --- | --- |
";

/// Labels whose values are not listed: they are numbers or versions.
const OPEN_LABELS: [&str; 2] = ["le", "version"];

/// Once the worker reports these metrics, it reports all of them.
const LAST_OF_WORKER: [&str; 4] = [
    "voting_webhooks{",
    "voting_polls{",
    "voting_counted_ballots ",
    "voting_log_memory_limit_bytes ",
];

#[derive(Default)]
struct Metric {
    kind: String,
    about: String,
    labels: BTreeMap<String, BTreeSet<String>>,
    services: BTreeSet<&'static str>,
}

type Metrics = BTreeMap<String, Metric>;

/// Reads the metrics of a service. No value of a label contains a comma or a brace.
fn read(service: &'static str, text: &str, into: &mut Metrics) {
    let mut family = String::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, about) = help.split_once(' ').expect("a help text");
            family = name.to_owned();
            let metric = into.entry(family.clone()).or_default();
            metric.about = about.to_owned();
            metric.services.insert(service);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a type");
            into.entry(name.to_owned()).or_default().kind = kind.to_owned();
        } else if !line.starts_with('#') {
            assert!(line.starts_with(&family), "{line} is not of {family}");
            let metric = into.get_mut(&family).expect("its help is before it");
            let Some((_, labels)) = line.split_once('{') else {
                continue;
            };
            let (labels, _) = labels.split_once('}').expect("an end");
            for label in labels.split(',').filter(|label| !label.is_empty()) {
                let (name, value) = label.split_once('=').expect("a value");
                let values = metric.labels.entry(name.to_owned()).or_default();
                if !OPEN_LABELS.contains(&name) {
                    values.insert(format!("`{}`", value.trim_matches('"')));
                }
            }
        }
    }
}

fn document(metrics: &Metrics) -> String {
    let rows = metrics.iter().map(|(name, metric)| {
        let suffix = match metric.kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let labels = metric.labels.iter().map(|(name, values)| {
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            match values.as_slice() {
                [] => format!("`{name}`"),
                values => format!("`{name}`: {}", values.join(", ")),
            }
        });
        let services: Vec<_> = metric.services.iter().copied().collect();
        format!(
            "| `{name}{suffix}` | {} | {} | {} | {} |\n",
            metric.kind,
            labels.collect::<Vec<_>>().join("; "),
            services.join(", "),
            metric.about
        )
    });
    INTRODUCTION.to_owned() + &rows.collect::<String>()
}

async fn reported(listens: SocketAddr) -> Option<String> {
    let get = move || {
        let mut answer = ureq::get(format!("http://{listens}/metrics")).call().ok()?;
        answer.body_mut().read_to_string().ok()
    };
    spawn_blocking(get).await.expect("it does not panic")
}

/// The metrics of a service, once all of `wanted` are in them.
async fn complete(listens: SocketAddr, wanted: &[&str]) -> String {
    for _ in 0..600 {
        if let Some(text) = reported(listens).await
            && wanted.iter().all(|wanted| text.contains(wanted))
        {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no {wanted:?} in {:?}", reported(listens).await);
}

async fn metrics() -> Metrics {
    let redis = RedisServer::start_with(&["--maxmemory", "200mb"]);
    let postgres = PostgresServer::start();
    let database = postgres.database("metrics");
    let free = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let [vote, result, worker] = free.map(|free| free.local_addr().expect("an address"));
    let config = || {
        let mut config = Config::default();
        config.redis.url = Some(Hidden::new(redis.url()));
        config.postgres.url = Some(Hidden::new(database.as_str()));
        config.secret = Some(Hidden::new("the secret of the tests, 32 bytes or more"));
        config.entry_key = Some(Hidden::new(
            "the key of the tests, 32 bytes or more, for entries",
        ));
        config.worker.token = Some(Hidden::new("the token of the tests, 32 bytes or more"));
        (config.vote.listen, config.result.listen) = (vote, result);
        config.worker.listen = worker;
        config
    };
    let stop = CancellationToken::new();
    let on = || StopOn::Cancel(stop.clone());
    let services = [
        spawn_local(voting_worker::run(config(), on())),
        spawn_local(voting_vote::run(config(), on())),
        spawn_local(voting_result::run(config(), on())),
    ];
    let mut metrics = Metrics::new();
    for (service, listens, wanted) in [
        ("vote", vote, &[][..]),
        ("result", result, &[]),
        ("worker", worker, &LAST_OF_WORKER),
    ] {
        read(service, &complete(listens, wanted).await, &mut metrics);
    }
    stop.cancel();
    for service in services {
        let exit = service.await.expect("it does not panic");
        assert_eq!(exit.expect("it starts"), Exit::Clean);
    }
    metrics
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_has_what_the_services_report() {
    let metrics = LocalSet::new().run_until(metrics()).await;
    let wanted = document(&metrics);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(Path::new(DOCUMENT).parent().expect("a folder")).expect("made");
        fs::write(DOCUMENT, &wanted).expect("written");
    }
    let there = fs::read_to_string(DOCUMENT).unwrap_or_default();
    assert!(
        there == wanted,
        "docs/reference/metrics.md is out of date: UPDATE_DOCS=1 cargo test -p voting --test metrics"
    );
}
