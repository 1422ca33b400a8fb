//! Redis itself: whether it answers, keeps what it acknowledges, and has enough memory.

use voting_core::backends::redis::{Node, NodeInfo, Redis};
use voting_service::Service;

use super::{Visit, certificate};
use crate::commands::report::Finding;

/// The used memory, in percent: above the first value the doctor warns, above the second ballots are about to be
/// refused.
const MEMORY: [u64; 2] = [80, 95];

/// Checks each server. `None` if none answers, or if Redis is not in the settings.
pub(super) async fn check(visit: &mut Visit<'_>) -> Option<Redis> {
    // The check of the settings reports faults in them.
    let redis = visit.config.redis().ok()?;
    let places: Vec<_> = redis.endpoints().iter().map(ToString::to_string).collect();
    let place = places.join(", ");
    let nodes = match visit.ask(redis.nodes()).await {
        Ok(nodes) => nodes,
        Err(why) => {
            if !certificate::refused(visit, "redis", redis.certificates()).await {
                visit.add(away(&place, &why));
            }
            return None;
        }
    };
    let (mut there, mut silent) = (Vec::new(), Vec::new());
    for node in nodes {
        match visit.ask(node.ping()).await {
            Ok(()) => there.push(node),
            Err(why) => silent.push(away(&at(&node, &place), &why)),
        }
    }
    if silent.is_empty() || !certificate::refused(visit, "redis", redis.certificates()).await {
        for finding in silent {
            visit.add(finding);
        }
    }
    if there.is_empty() {
        return None;
    }
    let how = if redis.is_encrypted() {
        "encrypted, and its certificate verified"
    } else {
        "not encrypted, which is for a network of your own"
    };
    visit.add(Finding::ok("redis", format!("answers at {place}, {how}")));
    certificate::check(visit, "redis", redis.certificates()).await;
    for node in &there {
        check_node(visit, node).await;
    }
    check_layout(visit, &redis).await;
    Some(redis)
}

/// The address if there is one server only, otherwise the name of the server.
fn at(node: &Node, place: &str) -> String {
    match node.name.strip_prefix("Redis at ") {
        Some(name) => name.to_owned(),
        None => place.to_owned(),
    }
}

/// Why there is no answer, and what to do.
fn away(place: &str, why: &str) -> Finding {
    let has = |words: &[&str]| words.iter().any(|word| why.contains(word));
    let todo = if has(&["WRONGPASS", "NOAUTH", "assword", "uthentication"]) {
        "set the user and the password that it knows in redis.url (or redis.url_file)"
    } else if has(&["max number of clients"]) {
        "raise maxclients, and the open files that its process may have; see who holds the connections \
         (CLIENT LIST)"
    } else if has(&["DENIED"]) {
        "it is in protected mode: give it a password, and let it listen for this machine (bind)"
    } else if has(&["LOADING", "loading"]) {
        "wait: it reads its log after a start; until then no ballot is taken"
    } else {
        "start it, or correct redis.url or the network between; until then no ballot is taken"
    };
    Finding::fail("redis", format!("does not answer at {place}: {why}"), todo)
}

async fn check_node(visit: &mut Visit<'_>, node: &Node) {
    let name = &node.name;
    if let Some(info) = visit.look("redis server", node.info()).await {
        visit.add(version(name, &info));
        if let Some(finding) = loading(name, &info) {
            visit.add(finding);
        }
        if !node.is_replica {
            visit.add(memory(name, &info));
            visit.add(own_log(name, &info));
            if let Some(finding) = role(name, &info) {
                visit.add(finding);
            }
            let settings = &visit.config.redis;
            let has_sentinels = settings.sentinels.is_some() || settings.sentinels_file.is_some();
            if let Some(finding) = replicas(name, &info, settings.replicas, has_sentinels) {
                visit.add(finding);
            }
        }
    }
    if !node.is_replica
        && let Err(why) = visit.ask(node.takes_ballots()).await
    {
        visit.add(refuses(name, &why));
    }
    let is_accepted = visit.config.redis.accept_loss;
    let check = "redis durability";
    if let Some(missing) = visit.look(check, node.missing_settings()).await {
        visit.add(durability(node, &missing, is_accepted));
    }
    if node.is_replica {
        return;
    }
    if let Some(forgets) = visit.look(check, node.forgets()).await
        && let Some(why) = forgets
    {
        let found = format!(
            "{name} would leave ballots out when it reads its own log, with the rights of its user \
             default: {why}"
        );
        let todo = "ACL SETUSER default '~*' +@all, in the configuration, too; the user may be off";
        visit.add(if is_accepted {
            Finding::warn(check, found, todo)
        } else {
            Finding::fail(check, found, todo)
        });
    }
    check_rights(visit, node).await;
}

fn version(name: &str, info: &NodeInfo) -> Finding {
    let check = "redis version";
    let found = format!("{name} is version {}", info.version);
    if info.major_version() < 7 {
        return Finding::fail(check, found, "use version 7 or later");
    }
    Finding::ok(check, found)
}

fn loading(name: &str, info: &NodeInfo) -> Option<Finding> {
    info.is_loading.then(|| {
        Finding::fail(
            "redis server",
            format!("{name} still reads its log after a start"),
            "wait; until then no ballot is taken",
        )
    })
}

fn role(name: &str, info: &NodeInfo) -> Option<Finding> {
    let master = info.replica_of.as_ref()?;
    Some(Finding::fail(
        "redis role",
        format!("{name} is a replica, of {master}; it takes no ballots"),
        "set redis.url to its master. REPLICAOF NO ONE makes it a master: do that only if it has the \
         latest ballots, and no other Redis goes on as the master",
    ))
}

/// Whether there are as many replicas as ballots wait for. Without Sentinels, a replica that nobody waits for takes over only if an
/// operator says so.
fn replicas(name: &str, info: &NodeInfo, wanted: u16, has_sentinels: bool) -> Option<Finding> {
    let check = "redis replicas";
    let (online, all) = info.replicas;
    if wanted == 0 && (all == 0 || !has_sentinels) {
        return None;
    }
    let found = format!("{name} has {online} replicas, and each ballot waits for {wanted} of them");
    let wanted = usize::from(wanted);
    Some(if online < wanted {
        let found = format!("{found}; no ballot is acknowledged");
        Finding::fail(
            check,
            found,
            "start the replicas that are away, or others (REPLICAOF)",
        )
    } else if all > wanted {
        let found = format!("{found}; one of the others may take over without the latest ballots");
        let todo = format!("set redis.replicas = {all}, or remove the replicas that are too many");
        Finding::fail(check, found, todo)
    } else {
        Finding::ok(check, found)
    })
}

fn refuses(name: &str, why: &str) -> Finding {
    Finding::fail(
        "redis writes",
        format!("{name} takes no ballots now: {why}"),
        "remove the cause. Writes that are paused go on after CLIENT UNPAUSE, or when the FAILOVER ends",
    )
}

fn memory(name: &str, info: &NodeInfo) -> Finding {
    let check = "redis memory";
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let (limit, whose) = match info.max_memory {
        0 => (info.system_memory, "the machine's, for it has no maxmemory"),
        max => (max, "its maxmemory"),
    };
    if limit == 0 {
        let used = mib(info.used_memory);
        return Finding::ok(check, format!("{name} uses {used} MiB of no limit"));
    }
    let share = u64::try_from(u128::from(info.used_memory) * 100 / u128::from(limit));
    let share = share.unwrap_or(u64::MAX);
    let found = format!(
        "{name} uses {} of {} MiB ({whose}), {share} %",
        mib(info.used_memory),
        mib(limit)
    );
    let todo = "give it more; see whether workers count (a backlog grows), or keep counted \
                ballots for fewer hours (redis.retention_hours)";
    match share {
        share if share >= MEMORY[1] => Finding::fail(
            check,
            format!("{found}; ballots are refused at 100 %"),
            todo,
        ),
        share if share >= MEMORY[0] => Finding::warn(check, found, todo),
        _ => Finding::ok(check, found),
    }
}

fn own_log(name: &str, info: &NodeInfo) -> Finding {
    let check = "redis log file";
    if info.last_write_is_ok == Some(false) {
        return Finding::fail(
            check,
            format!("{name} could not write its log"),
            "see its own log; most likely its disk is full",
        );
    }
    if info.last_rewrite_is_ok == Some(false) {
        return Finding::warn(
            check,
            format!("{name} could not rewrite its log, which grows until its disk is full"),
            "see its own log; give it disk space, and memory for a fork; then BGREWRITEAOF",
        );
    }
    match info.last_write_is_ok {
        Some(_) => {
            let mib = info.log_size.div_ceil(1 << 20);
            Finding::ok(
                check,
                format!("{name} writes its log without errors, {mib} MiB"),
            )
        }
        // The check of the durability says whether the server needs one.
        None => Finding::ok(check, format!("{name} has none")),
    }
}

fn durability(node: &Node, missing: &[String], is_accepted: bool) -> Finding {
    let check = "redis durability";
    let name = &node.name;
    if missing.is_empty() {
        let found = match node.is_replica {
            true => format!("{name}, a replica, does not take over by itself"),
            false => format!("{name} keeps what it acknowledges"),
        };
        return Finding::ok(check, found);
    }
    let needs = missing.join(", ");
    let found = match node.is_replica {
        true => format!(
            "{name} can lose acknowledged ballots: it is a replica that takes over by itself, \
             without the latest ballots; it needs {needs}"
        ),
        false => format!("{name} can lose acknowledged ballots: it needs {needs}"),
    };
    let todo = "set it in its configuration file and restart it, or CONFIG SET and CONFIG REWRITE";
    if is_accepted {
        let found = format!("{found} (redis.accept_loss allows this)");
        return Finding::warn(check, found, todo);
    }
    Finding::fail(check, found, todo)
}

async fn check_rights(visit: &mut Visit<'_>, node: &Node) {
    let check = "redis rights";
    let Some(rights) = visit.look(check, node.rights()).await else {
        return;
    };
    let (name, user) = (&node.name, &rights.user);
    let mut is_lacking = false;
    let mut of_worker = rights.worker_lacks.clone();
    if visit.config.worker.bulk_casts {
        // It casts ballots as a vote service does.
        let more = rights.vote_lacks.iter();
        of_worker.extend(
            more.filter(|lack| !rights.worker_lacks.contains(lack))
                .cloned(),
        );
    }
    for (service, lacks) in [
        (Service::Vote, &rights.vote_lacks),
        (Service::Worker, &of_worker),
    ] {
        if lacks.is_empty() || !visit.is_for(service) {
            continue;
        }
        is_lacking = true;
        let program = service.program();
        let commands: Vec<_> = lacks.iter().map(|lack| lack.to_lowercase()).collect();
        let plus: Vec<_> = commands
            .iter()
            .map(|c| format!("+{}", c.replace(' ', "|")))
            .collect();
        visit.add(Finding::fail(
            check,
            format!(
                "{name}: user {user} may not do what {program} does: {}",
                commands.join(", ")
            ),
            format!(
                "ACL SETUSER {user} '~{}:*' {}; or give --for the service whose user it is",
                visit.config.redis.prefix,
                plus.join(" ")
            ),
        ));
    }
    if !is_lacking {
        let found = format!("{name}: user {user} may do what the services do");
        visit.add(Finding::ok(check, found));
    }
}

async fn check_layout(visit: &mut Visit<'_>, redis: &Redis) {
    let check = "redis shards";
    let ours = visit.config.redis.shards;
    let Some(there) = visit.look(check, redis.laid_out_shards()).await else {
        return;
    };
    visit.add(match there {
        None => Finding::ok(check, format!("{ours}; nobody has used the log yet")),
        Some(there) if there == ours => Finding::ok(check, format!("{ours}, as in the log")),
        Some(there) => Finding::fail(
            check,
            format!("redis.shards is {ours}, but the log has {there}; no service starts with this"),
            format!("set redis.shards = {there}; it cannot change once there is a log"),
        ),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::report::Level;

    fn info() -> NodeInfo {
        NodeInfo {
            version: "7.0.15".to_owned(),
            last_write_is_ok: Some(true),
            last_rewrite_is_ok: Some(true),
            ..NodeInfo::default()
        }
    }

    #[test]
    fn replicas_are_as_many_as_ballots_wait_for() {
        let level = |replicas, wanted, has_sentinels| {
            let info = NodeInfo { replicas, ..info() };
            let finding = super::replicas("Redis", &info, wanted, has_sentinels);
            finding.map(|finding| finding.level)
        };
        assert_eq!(level((0, 0), 0, true), None);
        assert_eq!(level((1, 1), 0, false), None);
        assert_eq!(level((1, 1), 0, true), Some(Level::Fail));
        assert_eq!(level((1, 1), 1, true), Some(Level::Ok));
        assert_eq!(level((0, 1), 1, true), Some(Level::Fail));
        assert_eq!(level((2, 2), 1, true), Some(Level::Fail));
    }

    #[test]
    fn memory_is_measured_against_what_there_is() {
        let level = |used_memory, max_memory, system_memory| {
            let info = NodeInfo {
                used_memory,
                max_memory,
                system_memory,
                ..info()
            };
            memory("Redis", &info).level
        };
        assert_eq!(level(79, 100, 1), Level::Ok);
        assert_eq!(level(80, 100, 1000), Level::Warn);
        assert_eq!(level(95, 100, 1000), Level::Fail);
        assert_eq!(level(95, 0, 100), Level::Fail);
        assert_eq!(level(95, 0, 0), Level::Ok);
    }

    #[test]
    fn trouble_with_the_log_file_is_reported() {
        let level = |info: NodeInfo| own_log("Redis", &info).level;
        assert_eq!(level(info()), Level::Ok);
        let written = |last_write_is_ok| NodeInfo {
            last_write_is_ok,
            ..info()
        };
        assert_eq!(level(written(Some(false))), Level::Fail);
        let rewritten = NodeInfo {
            last_rewrite_is_ok: Some(false),
            ..info()
        };
        assert_eq!(level(rewritten), Level::Warn);
    }

    #[test]
    fn an_old_redis_is_reported() {
        let of = |version: &str| {
            let info = NodeInfo {
                version: version.to_owned(),
                ..info()
            };
            super::version("Redis", &info).level
        };
        assert_eq!([of("7.0.0"), of("8.2.1")], [Level::Ok; 2]);
        assert_eq!([of("6.2.9"), of("")], [Level::Fail; 2]);
    }

    #[test]
    fn a_redis_that_is_a_replica_is_reported_with_its_master() {
        assert_eq!(role("Redis", &info()), None);
        let replica = NodeInfo {
            replica_of: Some("10.0.0.1:6379".to_owned()),
            ..info()
        };
        let finding = role("Redis", &replica).unwrap();
        assert_eq!(finding.level, Level::Fail);
    }

    #[test]
    fn a_redis_that_loads_is_reported() {
        assert_eq!(loading("Redis", &info()), None);
        let loads = NodeInfo {
            is_loading: true,
            ..info()
        };
        assert!(loading("Redis", &loads).is_some());
    }
}
