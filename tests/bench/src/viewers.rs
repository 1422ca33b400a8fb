//! Many viewers of one result service.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
    sync::{Semaphore, mpsc},
};
use voting_testing::{Deployment, Programs, Service};

use crate::{
    figures::{connections, memory, ms, processor, quantile},
    setup::{client, deploy, ready},
    wrk::wrk,
};

const CHANGES: usize = 20;

/// Connections over which tallies are asked for.
const CONNECTIONS: usize = 64;

pub(crate) fn measure(programs: &Programs, runtime: &Runtime, viewers: usize, seconds: u64) {
    let viewers = viewers.min(connections());
    println!("viewers: {viewers} event streams of one result service");
    let deployment = deploy(programs);
    ready(deployment.worker()).kill();
    let result = ready(deployment.result());
    let id = result.id();
    let mut client = client(&deployment);
    let poll: i32 = client
        .query_one("SELECT key FROM polls", &[])
        .expect("a poll")
        .get(0);
    let set = "INSERT INTO turnouts VALUES ($1, 0, 1, 1) ON CONFLICT (poll, stripe)
               DO UPDATE SET voters = turnouts.voters + 1, version = turnouts.version + 1";
    let idle = memory(id);
    let (reported, mut hears) = mpsc::unbounded_channel();
    runtime.block_on(gather(&result, viewers, &reported));
    let count = |hears: &mut mpsc::UnboundedReceiver<Instant>| {
        runtime.block_on(async {
            let mut last = Instant::now();
            for _ in 0..viewers {
                let heard = tokio::time::timeout(Duration::from_secs(60), hears.recv());
                last = last.max(heard.await.expect("all hear of it").expect("a viewer"));
            }
            last
        })
    };
    // The tally as it is comes first.
    count(&mut hears);
    let watched = memory(id);

    // Nothing changes.
    let quiet = Duration::from_secs(5);
    let before = Look::at(&deployment, &result);
    std::thread::sleep(quiet);
    let after = Look::at(&deployment, &result);
    let took = (after.at - before.at).as_secs_f64();
    let transactions = (after.transactions - before.transactions) / took;
    let tallies = (after.tallies - before.tallies) / took;
    let idle_share = 100.0 * (after.processor - before.processor) / took;

    // Something does, again and again, never at the same point of a tick.
    let mut until_last = Vec::new();
    let (begun, busy) = (Instant::now(), processor(id));
    for change in 0..CHANGES {
        std::thread::sleep(Duration::from_millis(300 + 37 * (change as u64 % 7)));
        client.execute(set, &[&poll]).expect("changed");
        let committed = Instant::now();
        until_last.push(count(&mut hears) - committed);
    }
    let each = (processor(id) - busy) / f64::from(u32::try_from(CHANGES).unwrap_or(1));
    let busy_share = 100.0 * (processor(id) - busy) / begun.elapsed().as_secs_f64();
    let most = memory(id);
    println!(
        "  the store is asked for the tally {tallies:.1} times a second (goal: once a tick, 4), \
         {transactions:.1} transactions in all; memory {idle:.0} MiB without viewers, \
         {watched:.0} MiB with, {most:.0} MiB at last"
    );
    println!(
        "  processor: {idle_share:.1} % of a core when nothing changes, {busy_share:.0} % with \
         {CHANGES} changes, {:.0} ms each",
        each * 1_000.0
    );
    println!(
        "  from the commit to the last viewer: median {:.0} ms, worst {:.0} ms (goal 1000 ms)",
        ms(quantile(&mut until_last, 0.5)),
        ms(quantile(&mut until_last, 1.0))
    );
    ask(&result, seconds);
}

/// Asks for the tally in each of its forms, as fast as it is answered. The streams stay open meanwhile.
fn ask(result: &Service, seconds: u64) {
    let tally = "/v1/polls/cats-vs-dogs/tally";
    let pointer = ureq::get(format!("{}{tally}/latest", result.url))
        .call()
        .expect("an answer");
    let tag = pointer.headers().get("etag").expect("a tag");
    let tag = tag.to_str().expect("a text").to_owned();
    let by_digest = format!("{tally}/{}", tag.trim_matches('"'));
    let has = format!("wrk.headers[\"If-None-Match\"]='{tag}'");
    for (what, path, script) in [
        ("the pointer", &*format!("{tally}/latest"), ""),
        ("the pointer, unchanged", &*format!("{tally}/latest"), &*has),
        ("the tally by its digest", &*by_digest, ""),
        ("the current tally", tally, ""),
        ("the current tally, unchanged", tally, &*has),
    ] {
        let before = processor(result.id());
        let rate = wrk(&result.url, (path, script), CONNECTIONS, seconds);
        let took = processor(result.id()) - before;
        #[expect(clippy::cast_precision_loss, reason = "a few")]
        let each = took * 1_000_000.0 / (rate * seconds as f64);
        println!("  {what}: {rate:.0} answers/s, {each:.1} µs of the processor each");
    }
}

/// What was done so far.
struct Look {
    at: Instant,
    /// Of the store, the ones that ask for this among them.
    transactions: f64,
    /// Times that the service asked the store for a tally.
    tallies: f64,
    /// Seconds.
    processor: f64,
}

impl Look {
    fn at(deployment: &Deployment, result: &Service) -> Self {
        // What a session did is told when it is idle for a while, or ends.
        std::thread::sleep(Duration::from_millis(1_100));
        let own = deployment.postgres.url("postgres");
        let mut client = postgres::Client::connect(&own, postgres::NoTls).expect("connected");
        let asked = "SELECT (xact_commit + xact_rollback)::float8 FROM pg_stat_database
                     WHERE datname = 'voting'";
        let transactions = client.query_one(asked, &[]).expect("a row").get(0);
        let mut metrics = ureq::get(format!("{}/metrics", result.url))
            .call()
            .expect("an answer");
        let metrics = metrics.body_mut().read_to_string().expect("text");
        let tallies = metrics
            .lines()
            .find_map(|line| line.strip_prefix("voting_tally_look_ups_total "));
        Self {
            at: Instant::now(),
            transactions,
            tallies: tallies.and_then(|n| n.parse().ok()).expect("a number"),
            processor: processor(result.id()),
        }
    }
}

/// Opens the streams; each tells when it hears an event.
async fn gather(result: &Service, viewers: usize, reported: &mpsc::UnboundedSender<Instant>) {
    let address = result.url.trim_start_matches("http://").to_owned();
    let path = "/v1/polls/cats-vs-dogs/tally/events";
    let request: Arc<str> = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into();
    // Not all at once: the queue of a listening socket is short.
    let at_once = Arc::new(Semaphore::new(64));
    for _ in 0..viewers {
        let place = Arc::clone(&at_once).acquire_owned().await.expect("open");
        let (address, request, reported) =
            (address.clone(), Arc::clone(&request), reported.clone());
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("connected");
            stream.write_all(request.as_bytes()).await.expect("sent");
            let mut place = Some(place);
            let mut piece = [0; 2048];
            while let Ok(read @ 1..) = stream.read(&mut piece).await {
                let at = Instant::now();
                // An event is one write.
                if piece[..read].windows(6).any(|part| part == b"data: ") {
                    place = None;
                    if reported.send(at).is_err() {
                        break;
                    }
                }
            }
            drop(place);
        });
    }
}
