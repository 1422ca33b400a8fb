//! Entries of the log that are signed: keys that change while people vote, and entries that others write.

mod support;

use std::fs;

use support::{Crowd, all_is_well, operator, settled, tally};
use voting_testing::{Deployment, ENTRY_KEY, Programs, Service, agent, await_that};

const NEW_KEY: &str = "the next entry key of the tests, 32 bytes or more";

/// The version, and the id of the key, of each entry that the log still has, in hexadecimal.
fn entries(deployment: &Deployment) -> Vec<String> {
    let script = "local all = {}
                  for shard = 0, 3 do
                      local log = 'voting:{' .. shard .. '}:log'
                      for _, entry in ipairs(redis.call('XRANGE', log, '-', '+')) do
                          local version, key = string.byte(entry[2][2], 1, 2)
                          if version == 1 then key = 0 end
                          table.insert(all, string.format('%02x%02x', version, key))
                      end
                  end
                  return all";
    let told = deployment.redis.command(&["EVAL", script, "0"]);
    told.lines().map(str::to_owned).collect()
}

fn kinds(deployment: &Deployment) -> Vec<String> {
    let mut kinds = entries(deployment);
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// Starts a new one of each with the settings of now, sends the crowd to the new vote services, and stops the old ones.
fn replace(
    deployment: &Deployment,
    crowd: &Crowd,
    votes: &mut Vec<Service>,
    workers: &mut Vec<Service>,
) {
    // Workers first: an old one may not be able to read what a new vote service writes.
    for old in std::mem::take(workers) {
        workers.push(deployment.worker());
        let new = workers.last().expect("a worker");
        await_that("the worker is ready", || new.is_ready());
        assert_eq!(old.stop().code(), Some(0));
    }
    for old in std::mem::take(votes) {
        votes.push(deployment.vote());
        let new = votes.last().expect("a vote service");
        await_that("the vote service is ready", || new.is_ready());
        {
            let mut places = crowd.places.lock().expect("sound");
            places.retain(|place| *place != old.url);
            places.push(new.url.clone());
        }
        // Those who are on their way there arrive.
        crowd.await_more(50);
        assert_eq!(old.stop().code(), Some(0));
    }
}

#[test]
fn the_entry_key_is_introduced_changed_and_dropped_while_people_vote() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let (old, new) = (file("old", ENTRY_KEY), file("new", NEW_KEY));
    let set = |key: &str, value: &str| match key {
        "key" => ("VOTING_ENTRY_KEY", value.to_owned()),
        "others" => ("VOTING_OTHER_ENTRY_KEY_FILES", value.to_owned()),
        "unsigned" => ("VOTING_ACCEPT_UNSIGNED_ENTRIES", value.to_owned()),
        _ => ("VOTING_ENTRY_VERSION", value.to_owned()),
    };
    let mut deployment = Deployment::new();
    // An empty value is as good as none.
    deployment.more = vec![set("key", "")];
    let mut workers = vec![deployment.worker(), deployment.worker()];
    let mut votes = vec![deployment.vote(), deployment.vote()];
    let result = deployment.result();
    for service in workers.iter().chain(&votes) {
        await_that("it is ready", || service.is_ready());
    }
    let crowd = Crowd::gather(&[&votes[0], &votes[1]]);
    crowd.await_more(50);
    assert_eq!(kinds(&deployment), ["0100"]);

    let steps = [
        // All read signed entries; then all sign.
        vec![set("key", ENTRY_KEY), set("version", "1")],
        vec![set("key", ENTRY_KEY)],
        vec![set("key", ENTRY_KEY), set("unsigned", "false")],
        // All read both keys; then all sign with the new one; then the old one is dropped.
        vec![set("key", ENTRY_KEY), set("others", &new)],
        vec![set("key", NEW_KEY), set("others", &old)],
    ];
    for step in steps {
        deployment.more = step;
        replace(&deployment, &crowd, &mut votes, &mut workers);
        crowd.await_more(100);
    }
    assert_eq!(kinds(&deployment).len(), 3, "{:?}", kinds(&deployment));
    counted(&workers[0]);
    deployment.more = vec![set("key", NEW_KEY)];
    replace(&deployment, &crowd, &mut votes, &mut workers);
    // And back to entries that are not signed.
    deployment.more = vec![set("key", NEW_KEY), set("version", "1")];
    replace(&deployment, &crowd, &mut votes, &mut workers);
    crowd.await_more(100);
    counted(&workers[0]);
    deployment.more = vec![set("key", "")];
    replace(&deployment, &crowd, &mut votes, &mut workers);
    crowd.await_more(100);

    let known = crowd.disperse();
    assert_eq!((known.refused, known.unanswered), (0, 0));
    all_is_well(&workers[0], &result, &known);
    assert_eq!(operator(&workers[0]).settled()["rejected"], 0);
}

/// What is accepted by now is counted: before a key is dropped, nothing under it may wait. Voters come on and on, so the log is
/// never empty.
fn counted(worker: &Service) {
    let number = |name: &str| {
        let pipeline = operator(worker).pipeline().expect("an answer");
        pipeline[name].as_u64().expect("a number")
    };
    let accepted = number("accepted");
    await_that("they are counted", || {
        number("counted") + number("superseded") + number("rejected") >= accepted
    });
}

#[test]
fn what_others_write_into_redis_or_change_there_is_not_counted() {
    let mut deployment = Deployment::new();
    deployment.more = vec![("VOTING_ACCEPT_UNSIGNED_ENTRIES", "false".to_owned())];
    let (vote, result) = (deployment.vote(), deployment.result());
    let worker = deployment.worker();
    await_that("all are ready", || vote.is_ready() && worker.is_ready());
    let cast = || {
        let url = format!("{}/v1/polls/cats-vs-dogs/ballot", vote.url);
        let ballot = agent().put(url).content_type("application/json");
        let answer = ballot.send(r#"{"choices":["a"]}"#).expect("an answer");
        assert_eq!(answer.status(), 202);
    };
    cast();
    settled(&worker);
    assert_eq!(tally(&result)["voters"], 1);

    let add = |bytes: &str, further: u16| {
        let script = format!(
            "local entry
             for shard = 0, 3 do
                 local log = 'voting:{{' .. shard .. '}}:log'
                 local found = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
                 if found then entry = {{ shard, found[2][2] }} end
             end
             local shard, old = entry[1], entry[2]
             local bytes = {bytes}
             shard = (shard + {further}) % 4
             redis.call('HINCRBY', 'voting:{{' .. shard .. '}}:stats', 'accepted', 1)
             return redis.call('XADD', 'voting:{{' .. shard .. '}}:log', '*', 'b', bytes, 'n', 1)"
        );
        deployment.redis.command(&["EVAL", &script, "0"]);
    };
    // For another voter, with the tag as it was; for another option; and one of the old format.
    add(
        "string.sub(old, 1, -34) .. string.rep('v', 16) .. string.sub(old, -17)",
        0,
    );
    add(
        r"string.sub(old, 1, -18) .. '\2' .. string.sub(old, -16)",
        0,
    );
    add(
        r"'\1\1\12cats-vs-dogs\0\1\0' .. string.rep('v', 16) .. '\1'",
        0,
    );
    // To another shard, as it was.
    add("old", 1);
    let pipeline = settled(&worker);
    assert_eq!(pipeline["rejected"], 4, "{pipeline}");
    let letters = operator(&worker).get("dead-letters").expect("an answer");
    let letters = letters.to_string();
    assert_eq!(
        letters.matches("\"unauthenticated\"").count(),
        4,
        "{letters}"
    );
    assert_eq!(tally(&result)["voters"], 1);
    cast();
    settled(&worker);
    // The result service shows a tally that is up to a tick old.
    await_that("the second vote is shown", || {
        tally(&result)["options"][0]["votes"] == 2
    });
}

/// A worker without the key counts nothing that is signed, and sets nothing aside.
#[test]
fn a_worker_that_lacks_the_key_says_so_and_leaves_the_ballots_to_one_that_has_it() {
    let mut deployment = Deployment::new();
    let vote = deployment.vote();
    deployment.more = vec![("VOTING_ENTRY_KEY", String::new())];
    let without = deployment.worker();
    await_that("both are ready", || vote.is_ready() && without.is_ready());
    let url = format!("{}/v1/polls/cats-vs-dogs/ballot", vote.url);
    let ballot = agent().put(url).content_type("application/json");
    let answer = ballot.send(r#"{"choices":["b"]}"#).expect("an answer");
    assert_eq!(answer.status(), 202);
    await_that("it is not ready", || !without.is_ready());
    let pipeline = operator(&without).pipeline().expect("an answer");
    assert_eq!(
        (&pipeline["counted"], &pipeline["rejected"]),
        (&0.into(), &0.into())
    );
    deployment.more.clear();
    let (worker, result) = (deployment.worker(), deployment.result());
    settled(&worker);
    assert_eq!(tally(&result)["options"][1]["votes"], 1);
}

/// The programs of version 0.1.0, which write version 1 and know no key, in a folder that the environment names.
///
/// `git worktree add old v0.1.0`, build `voting-vote`, `voting-worker`, `voting-result` and `voting` there, and run this test with
/// `EARLIER_PROGRAMS=old/target/debug`.
#[test]
#[ignore = "needs programs of version 0.1.0"]
fn an_upgrade_from_entries_of_version_1_and_back_loses_no_vote() {
    let folder = std::env::var_os("EARLIER_PROGRAMS").expect("EARLIER_PROGRAMS names a folder");
    let earlier = Programs::in_folder(folder);
    let mut deployment = Deployment::new();
    deployment.more = vec![("VOTING_ENTRY_KEY", String::new())];
    let new = deployment.programs().clone();
    // The older programs know neither the key nor the version.
    let old_settings = |deployment: &mut Deployment| {
        deployment.set_programs(&earlier);
        deployment.without = vec!["VOTING_ENTRY_KEY", "VOTING_ENTRY_VERSION"];
    };
    old_settings(&mut deployment);
    let mut workers = vec![deployment.worker(), deployment.worker()];
    let mut votes = vec![deployment.vote(), deployment.vote()];
    let result = deployment.result();
    for service in workers.iter().chain(&votes) {
        await_that("it is ready", || service.is_ready());
    }
    let crowd = Crowd::gather(&[&votes[0], &votes[1]]);
    crowd.await_more(100);

    deployment.set_programs(&new);
    deployment.without.clear();
    let migrated = deployment.voting(&["migrate"]);
    assert!(migrated.status.success(), "{migrated:?}");
    for (key, version) in [("", "1"), (ENTRY_KEY, "1"), (ENTRY_KEY, "2")] {
        deployment.more = vec![
            ("VOTING_ENTRY_KEY", key.to_owned()),
            ("VOTING_ENTRY_VERSION", version.to_owned()),
        ];
        replace(&deployment, &crowd, &mut votes, &mut workers);
        crowd.await_more(100);
    }
    assert_eq!(kinds(&deployment).len(), 2, "{:?}", kinds(&deployment));
    // One vote service goes back to entries that are not signed, beside one that signs.
    deployment.more = vec![
        ("VOTING_ENTRY_KEY", ENTRY_KEY.to_owned()),
        ("VOTING_ENTRY_VERSION", "1".to_owned()),
    ];
    replace(&deployment, &crowd, &mut votes, &mut workers);
    counted(&workers[0]);
    // An older vote service beside newer workers.
    old_settings(&mut deployment);
    votes.push(deployment.vote());
    let old = votes.last().expect("a vote service");
    await_that("it is ready", || old.is_ready());
    crowd.places.lock().expect("sound").push(old.url.clone());
    crowd.await_more(100);

    let known = crowd.disperse();
    assert_eq!((known.refused, known.unanswered), (0, 0));
    all_is_well(&workers[0], &result, &known);
    assert_eq!(operator(&workers[0]).settled()["rejected"], 0);
}
