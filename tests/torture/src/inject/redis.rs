//! Faults of Redis that it is told to have.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use super::{FELT, Made, RedisServer};
use voting_testing::within;

/// Longer than it takes to start.
const LONG: Duration = Duration::from_secs(60);

/// Room for some ballots, in bytes.
const ROOM: u64 = 100_000;

/// Starts it, and waits until it has read its log.
pub(super) fn launch(redis: &mut RedisServer) {
    redis.launch();
    let answers = within(LONG, || redis.try_command(&["PING"]).ok());
    assert!(answers.is_some(), "Redis does not come back");
}

/// Leaves Redis as much room as some ballots need, or less, until it has refused something; the fault
/// lasts from then on.
pub(super) fn memory(redis: &RedisServer, length: Duration) -> Made {
    let before = refused(redis);
    let deadline = Instant::now() + FELT;
    let mut room = ROOM;
    let felt = loop {
        let limit = (number(redis, "memory", "used_memory:").unwrap_or(1) + room).to_string();
        redis.try_command(&["CONFIG", "SET", "maxmemory", &limit])?;
        // What is counted and trimmed makes room again.
        room /= 2;
        sleep(Duration::from_millis(100));
        let felt = refused(redis) > before;
        if felt || Instant::now() >= deadline {
            break felt;
        }
    };
    if felt {
        sleep(length);
    }
    let refused = refused(redis) - before;
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    if !felt {
        return Err("it had room for all that came".to_owned());
    }
    Ok(format!("{refused} commands refused"))
}

/// How many commands it has refused for want of memory since it was started.
fn refused(redis: &RedisServer) -> u64 {
    number(redis, "errorstats", "errorstat_OOM:count=").unwrap_or(0)
}

/// A number that it tells of itself.
fn number(redis: &RedisServer, section: &str, name: &str) -> Option<u64> {
    let info = redis.try_command(&["INFO", section]).ok()?;
    let mut lines = info.lines();
    lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// What is next appended has an id so far ahead, in at least one log.
pub(super) fn jump(redis: &RedisServer, by: Duration) -> Made {
    let mut jumped = 0;
    let mut not = Vec::new();
    for key in redis.try_command(&["KEYS", "voting:*:log"])?.lines() {
        let stream = redis.try_command(&["XINFO", "STREAM", key])?;
        let mut lines = stream.lines();
        lines.find(|line| *line == "last-generated-id");
        let last = lines
            .next()
            .and_then(|id| id.split_once('-')?.0.parse::<u128>().ok())
            .ok_or("it tells of no last id")?;
        let ahead = format!("{}-0", last + by.as_millis());
        match redis.try_command(&["XSETID", key, &ahead]) {
            Ok(_) => jumped += 1,
            Err(error) => not.push(error),
        }
    }
    if jumped == 0 {
        not.push("of no log".to_owned());
        return Err(not.join(", "));
    }
    Ok(format!("of {jumped} logs"))
}

/// Begins to write the log anew, once it is done with the last time.
pub(super) fn rewrite(redis: &RedisServer) -> Made {
    let mut why = String::new();
    let begun = within(FELT, || {
        let said = redis.try_command(&["BGREWRITEAOF"]);
        said.map_err(|error| why = error).ok()
    });
    begun.ok_or(why)
}
