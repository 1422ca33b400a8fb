//! The use of memory in Redis. At its limit, Redis refuses ballots.

use crate::backends::redis::client::{connection::Connection, node::fields};
use crate::log::stats::LogMemory;

/// The memory of the fullest server; `None` if no server tells, for example because the user may not ask.
pub(in crate::backends::redis) async fn of(connection: &Connection) -> Option<LogMemory> {
    let servers = connection.each().await.ok()?;
    let mut ask = ::redis::cmd("INFO");
    ask.arg("memory");
    let mut fullest = None;
    for server in &servers.masters {
        if let Ok(info) = server.read::<String>(&ask).await {
            fullest = fullest.max(read(&info).map(|memory| (share(memory), memory)));
        }
    }
    fullest.map(|(_, memory)| memory)
}

/// The used share of the limit, in millionths; 0 without a limit.
fn share(memory: LogMemory) -> u128 {
    let of_limit = memory
        .limit
        .map(|limit| 1_000_000 * u128::from(memory.used) / u128::from(limit));
    of_limit.unwrap_or(0)
}

fn read(info: &str) -> Option<LogMemory> {
    let reply = fields(info);
    let number = |name: &str| reply.get(name)?.parse::<u64>().ok();
    // Buffers for replicas and for the append-only file do not count.
    let used =
        number("used_memory")?.saturating_sub(number("mem_not_counted_for_evict").unwrap_or(0));
    Some(LogMemory {
        used,
        limit: number("maxmemory").filter(|limit| *limit > 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_what_redis_says() {
        let info = "# Memory\r\nused_memory:1000\r\nused_memory_human:1K\r\nmaxmemory:4000\r\n\
                    mem_not_counted_for_evict:100\r\n";
        let memory = read(info).unwrap();
        assert_eq!((memory.used, memory.limit), (900, Some(4000)));
        assert_eq!(share(memory), 225_000);
        assert_eq!(read(&info.replace("4000", "0")).unwrap().limit, None);
        assert_eq!(read("# Memory"), None);
    }
}
