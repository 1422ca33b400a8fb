//! Intake and drain while events happen, are followed and are sent to three webhooks, beside the same without any of it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use futures_util::StreamExt;
use serde_json::json;
use tokio::{runtime::Runtime, task::JoinHandle, time::interval};
use voting_core::{
    Poll, PollStore,
    backends::postgres::{Postgres, PostgresOptions},
    model::poll::PollChange,
    pipeline::follow::follow,
};
use voting_testing::{Deployment, Operator, Programs, TOKEN, await_that};

use crate::{
    drain::drain,
    figures::median,
    intake::FORM,
    setup::{deploy, ready},
    wrk::wrk,
};

/// How many changes of another poll are made in a second, each of which is an event.
const CHANGES: u64 = 10;

const WEBHOOKS: usize = 3;

/// Over which votes come in.
const CONNECTIONS: usize = 64;

pub(crate) fn measure(
    programs: &Programs,
    runtime: &Runtime,
    rounds: usize,
    seconds: u64,
    log: usize,
) {
    println!(
        "events: {CHANGES} a second, which are followed and sent to {WEBHOOKS} webhooks, beside none of it; a worker counts while \
         votes come in; a log of {log} is drained"
    );
    let (without, mut with) = (deploy(programs), deploy(programs));
    with.more = vec![("VOTING_WORKER__WEBHOOK_HOSTS", "127.0.0.1".to_owned())];
    ready(without.worker()).kill();
    let came: Vec<_> = (0..WEBHOOKS).map(|_| receiver()).collect();
    let worker = ready(with.worker());
    let operator = Operator::new(&worker.url, TOKEN);
    for (port, _) in &came {
        let webhook = json!({"url": format!("http://127.0.0.1:{port}/")});
        let made = operator.post_json("webhooks", &webhook).expect("an answer");
        assert!(made.status().is_success(), "{made:?}");
    }
    worker.kill();
    let mut intakes = (Vec::new(), Vec::new());
    let mut drains = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        intakes.0.push(intake(&without, seconds));
        drains.0.push(drain(&without, runtime, log, 1));
        let happenings = Happenings::start(&with, runtime);
        intakes.1.push(intake(&with, seconds));
        drains.1.push(drain(&with, runtime, log, 1));
        let followed = happenings.end(runtime);
        println!(
            "  intake {:.0}/s and {:.0}/s, drain {:.0}/s and {:.0}/s; {followed} events were followed",
            last(&intakes.0),
            last(&intakes.1),
            last(&drains.0),
            last(&drains.1),
        );
    }
    // Messages that failed would come in a later round.
    let worker = ready(with.worker());
    let sent: Vec<_> = came.iter().map(|(_, came)| came).collect();
    await_that("each webhook gets the same messages", || {
        let sent: Vec<_> = sent
            .iter()
            .map(|came| came.load(Ordering::Relaxed))
            .collect();
        sent[0] > 0 && sent.iter().all(|came| *came == sent[0])
    });
    worker.kill();
    let ratio = |(without, with): &(Vec<f64>, Vec<f64>)| {
        let pairs = with.iter().zip(without);
        median(pairs.map(|(with, without)| with / without).collect())
    };
    println!(
        "  with events and webhooks relative to without: intake {:.2}, drain {:.2} (goal 1.0 for both); {} messages for each webhook",
        ratio(&intakes),
        ratio(&drains),
        sent[0].load(Ordering::Relaxed),
    );
}

fn last(rates: &[f64]) -> f64 {
    rates.last().copied().unwrap_or_default()
}

/// Votes a second, while a worker counts them.
fn intake(deployment: &Deployment, seconds: u64) -> f64 {
    let (worker, vote) = (ready(deployment.worker()), ready(deployment.vote()));
    let rate = wrk(&vote.url, FORM, CONNECTIONS, seconds);
    Operator::new(&worker.url, TOKEN).settled();
    assert!(vote.stop().success() && worker.stop().success());
    rate
}

/// Changes a poll again and again, and follows the events.
struct Happenings {
    changes: JoinHandle<()>,
    follows: JoinHandle<()>,
    followed: Arc<AtomicU64>,
}

impl Happenings {
    fn start(deployment: &Deployment, runtime: &Runtime) -> Self {
        let store = Postgres::new(&deployment.database, PostgresOptions::default());
        let store = store.expect("an address");
        let followed = Arc::<AtomicU64>::default();
        let (seen, events) = (Arc::clone(&followed), follow(store.clone(), 0));
        let follows = runtime.spawn(events.for_each(move |event| {
            event.expect("an event");
            seen.fetch_add(1, Ordering::Relaxed);
            std::future::ready(())
        }));
        let changes = runtime.spawn(async move {
            let mut turns = interval(Duration::from_millis(1_000 / CHANGES));
            for number in 1_u64.. {
                turns.tick().await;
                let title = format!("Which, {}?", uuid::Uuid::now_v7());
                let poll = Poll::builder("told", &title).option("a", "A");
                let poll = poll.option("b", "B").build().expect("a poll");
                let changed = store.change_poll(&PollChange::put(poll), "bench").await;
                changed.unwrap_or_else(|error| panic!("change {number}: {error}"));
            }
        });
        Self {
            changes,
            follows,
            followed,
        }
    }

    /// How many events were followed.
    fn end(self, runtime: &Runtime) -> u64 {
        for task in [self.changes, self.follows] {
            task.abort();
            if let Err(error) = runtime.block_on(task) {
                assert!(error.is_cancelled(), "{error}");
            }
        }
        self.followed.load(Ordering::Relaxed)
    }
}

/// Takes each message. Its port, and how many came.
fn receiver() -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let came = Arc::<AtomicU64>::default();
    let count = Arc::clone(&came);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let count = Arc::clone(&count);
            thread::spawn(move || while receive(&stream, &count).is_some() {});
        }
    });
    (port, came)
}

fn receive(mut stream: &TcpStream, count: &AtomicU64) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    count.fetch_add(1, Ordering::Relaxed);
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()
}
