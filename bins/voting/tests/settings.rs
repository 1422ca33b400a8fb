//! `voting config`: its messages about wrong settings, and about the settings in force.

mod support;

use std::fs;

use support::deployment::{SECRETS, Told};

/// The settings of three services.
fn good() -> Vec<(&'static str, String)> {
    vec![
        ("VOTING_SECRET", SECRETS[0].to_owned()),
        ("VOTING_WORKER__TOKEN", SECRETS[1].to_owned()),
        (
            "VOTING_REDIS__URL",
            format!("redis://u:{}@h:1/", SECRETS[2].replace(' ', "%20")),
        ),
        ("VOTING_POSTGRES__URL", "postgres://u:p@h/d".to_owned()),
    ]
}

fn check(settings: &[(&'static str, String)], more: &[&str]) -> Told {
    let mut arguments = vec!["config", "check"];
    arguments.extend(more);
    Told::by(settings, &arguments)
}

#[test]
fn good_settings_are_good_without_any_server() {
    let told = check(&good(), &[]);
    told.ended(0).says(
        "ok",
        "settings",
        &["good for voting-vote, voting-worker, voting-result"],
    );
    let told = check(&[], &[]);
    told.ended(0).says("ok", "settings", &["good for voting"]);
    let json = check(&good(), &["--json"]);
    let document: serde_json::Value = serde_json::from_str(&json.text).expect("JSON");
    assert_eq!(document["level"], "ok");
}

#[test]
fn all_unknown_settings_are_named_with_where_they_are_set() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("voting.toml");
    fs::write(
        &file,
        "[vote]\nlissten = '127.0.0.1:1'\n[wroker]\nmax_ballots = 1\n",
    )
    .unwrap();
    let mut settings = good();
    settings.push(("VOTING_SERVICE_HOST", "x".to_owned()));
    settings.push(("VOTING_REDIS__SHARDS", "0".to_owned()));
    let path = file.to_str().unwrap();
    let told = check(&settings, &["--config", path]);
    told.ended(1)
        .says(
            "FAIL",
            "settings",
            &[
                "unknown setting vote.lissten",
                path,
                "listen, max_connections, max_connections_per_address, public_port, public_url",
            ],
        )
        .says("FAIL", "settings", &["wroker.max_ballots", path])
        .says("FAIL", "settings", &["service_host", "VOTING_SERVICE_HOST"])
        .says("FAIL", "settings", &["redis.shards is not in 1 to 65535"]);
    // A service gives the same messages when it does not start.
    let start = Told::by(&settings, &["--config", path]);
    start.ended(1);
    for part in [
        "vote.lissten",
        "wroker.max_ballots",
        "VOTING_SERVICE_HOST",
        "redis.shards",
    ] {
        assert!(start.errors.contains(part), "{start}");
    }
}

#[test]
fn what_a_service_needs_and_lacks_is_named() {
    let without = |key: &str| {
        let mut settings = good();
        settings.retain(|(known, _)| *known != key);
        settings
    };
    let told = check(&without("VOTING_WORKER__TOKEN"), &[]);
    told.ended(1).says(
        "FAIL",
        "settings",
        &["voting-worker needs more: worker.token is not set"],
    );
    check(
        &without("VOTING_WORKER__TOKEN"),
        &["--for", "vote", "--for", "result"],
    )
    .ended(0);
    // Settings with the token and without the secret are for a worker, which must not have the secret.
    let told = check(&without("VOTING_SECRET"), &[]);
    told.ended(0)
        .says("ok", "settings", &["good for voting-worker"]);
    let all = ["--for", "vote", "--for", "worker", "--for", "result"];
    let told = check(&without("VOTING_SECRET"), &all);
    told.ended(1).says(
        "FAIL",
        "settings",
        &["voting-vote needs more: secret is not set"],
    );
    let told = check(&without("VOTING_REDIS__URL"), &["--for", "worker"]);
    told.ended(1)
        .says("FAIL", "settings", &["redis.url is not set"]);
    // Settings that only name Redis are for a vote service.
    let told = check(&without("VOTING_POSTGRES__URL"), &[]);
    told.ended(0)
        .says("ok", "settings", &["good for voting-vote"]);
}

#[test]
fn values_and_files_that_are_none_are_named() {
    let with = |key: &'static str, value: &str| {
        let mut settings = good();
        settings.retain(|(known, _)| *known != key);
        settings.push((key, value.to_owned()));
        check(&settings, &[])
    };
    with("VOTING_SECRET_FILE", "/nowhere").says(
        "FAIL",
        "settings",
        &["both as a value and as a file"],
    );
    with("VOTING_SECRET", "short").says("FAIL", "settings", &["too short", "32 bytes"]);
    with("VOTING_REDIS__URL", "http://h/").says(
        "FAIL",
        "settings",
        &["redis.url is not a valid Redis URL"],
    );
    with("VOTING_POSTGRES__URL", "h").says(
        "FAIL",
        "settings",
        &["postgres.url is not a valid Postgres URL"],
    );
    with("VOTING_POSTGRES__CA_FILE", "/nowhere").says(
        "FAIL",
        "settings",
        &["cannot read /nowhere"],
    );
    with("VOTING_VOTE__LISTEN", "here").says("FAIL", "settings", &["vote.listen", "environment"]);
    with("VOTING_LOG", "a=b=c").says(
        "FAIL",
        "settings",
        &["is not a level; write one of off, error, warn"],
    );
    for weak in ["a".repeat(40), "changeme".repeat(5), "0123456789".repeat(4)] {
        let weak = with("VOTING_WORKER__TOKEN", &weak);
        weak.ended(1).says(
            "FAIL",
            "settings",
            &["worker.token is weak", "openssl rand"],
        );
    }
    with("VOTING_WORKER__TOKEN", SECRETS[0]).ended(1).says(
        "FAIL",
        "settings",
        &["worker.token is the same as secret"],
    );
    with("VOTING_SECRET", &"a".repeat(40))
        .ended(0)
        .says("warn", "settings", &["secret is weak"]);
    with("VOTING_TRUSTED_PROXIES", "10.0.0.0/8, ::1").ended(0);
    with("VOTING_TRUSTED_PROXIES", "proxy").ended(1).says(
        "FAIL",
        "settings",
        &["trusted_proxies", "proxy"],
    );
    with("VOTING_TRUSTED_PROXIES", "0.0.0.0/0").ended(0).says(
        "warn",
        "settings",
        &["trusted_proxies names every address"],
    );
    let told = with("VOTING_VOTE__PUBLIC_URL", "https://vote.test");
    told.ended(0)
        .says("warn", "settings", &["only one of vote.public_url"]);
    let mut settings = good();
    settings.retain(|(key, _)| *key != "VOTING_SECRET");
    settings.push(("VOTING_SECRET_FILE", "/nowhere/secret".to_owned()));
    let told = check(&settings, &[]);
    told.ended(1)
        .says("FAIL", "settings", &["cannot read /nowhere/secret"]);
    let told = check(&good(), &["--config", "/nowhere.toml"]);
    told.ended(1).says("FAIL", "settings", &["/nowhere.toml"]);
}

#[test]
fn the_settings_in_force_are_shown_with_where_they_are_from_and_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("voting.toml");
    fs::write(&file, "[worker]\nmax_wait_ms = 7\n").unwrap();
    let path = file.to_str().unwrap();
    let flags = [
        "--vote-listen",
        "127.0.0.1:9",
        "config",
        "show",
        "--config",
        path,
    ];
    let told = Told::by(&good(), &flags);
    told.ended(0);
    for line in [
        "vote.listen = \"127.0.0.1:9\"  # by --vote-listen",
        &format!("worker.max_wait_ms = 7  # in {path}"),
        "redis.url = \"(hidden)\"  # in the environment, VOTING_REDIS__URL",
        "secret = \"(hidden)\"  # in the environment, VOTING_SECRET",
        "redis.shards = 4  # by default",
        "# redis.ca_file is not set",
    ] {
        assert!(
            told.text.lines().any(|told| told == line),
            "no {line} in\n{told}"
        );
    }
    let told = check(&good(), &["--show"]);
    assert!(
        told.text.contains("postgres.connections = 4  # by default"),
        "{told}"
    );
    told.ended(0).says("ok", "settings", &[]);
}

/// Checks the settings with this variable in place of a good one.
fn with(key: &'static str, value: &str) -> Told {
    let mut settings = good();
    settings.retain(|(known, _)| *known != key);
    settings.push((key, value.to_owned()));
    check(&settings, &[])
}

#[test]
fn a_level_that_there_is_not_is_named_with_those_that_there_are() {
    for log in [
        "warning",
        "verbose",
        "information",
        "voting=vebose",
        "info,foo=bar=baz",
        "voting_core",
        "debug;info",
    ] {
        with("VOTING_LOG", log).ended(1).says(
            "FAIL",
            "settings",
            &["off, error, warn, info, debug, trace", "VOTING_LOG"],
        );
    }
    with("VOTING_LOG", " warn , voting_core=debug\n").ended(0);
}

#[test]
fn values_are_trimmed_and_empty_ones_are_as_unset() {
    for (key, value) in [
        ("VOTING_POSTGRES__URL", "postgres://u:p@h/d\n"),
        ("VOTING_REDIS__URL", "\tredis://h\r\n"),
        ("VOTING_SECRET_FILE", " "),
        ("VOTING_DEFAULT_POLL", ""),
        ("VOTING_DEFAULT_POLL", " \n"),
        ("VOTING_VOTE__LISTEN", ""),
        ("VOTING_VOTE__LISTEN", " 127.0.0.1:1\n"),
        ("VOTING_VOTE__MAX_CONNECTIONS", ""),
        ("VOTING_VOTE__MAX_CONNECTIONS", "7\n"),
        ("VOTING_VOTE__PUBLIC_URL", "\n"),
        ("VOTING_REDIS__CLUSTER", ""),
        ("VOTING_REDIS__CLUSTER", "true\r\n"),
        ("VOTING_REDIS__CA_FILE", ""),
        ("VOTING_TRACES__SAMPLE_RATIO", " "),
        ("VOTING_TRACES__ENDPOINT", ""),
        ("VOTING_POLLS", ""),
        ("VOTING_LOG", ""),
        ("VOTING_LOG_FORMAT", " json "),
    ] {
        with(key, value).ended(0);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("voting.toml");
    let text = "\u{feff}log = ' '\r\ndefault_poll = ''\r\n[vote]\r\nlisten = ''\r\n\
                [result]\r\nlisten = '127.0.0.1:5\\n'\r\n[worker]\r\nmax_ballots = 7\r\n";
    fs::write(
        &file,
        text.replace("'127.0.0.1:5\\n'", "\"127.0.0.1:5\\n\""),
    )
    .unwrap();
    let mut settings = good();
    settings.push(("VOTING_WORKER__MAX_BALLOTS", " ".to_owned()));
    let told = Told::by(
        &settings,
        &["config", "show", "--config", file.to_str().unwrap()],
    );
    told.ended(0);
    for line in [
        "log = \"info\"  # by default",
        "vote.listen = \"127.0.0.1:8080\"  # by default",
        "# default_poll is not set",
    ] {
        assert!(told.text.lines().any(|told| told == line), "{line}\n{told}");
    }
    // An empty variable does not hide the value in the file.
    assert!(
        told.text.contains("worker.max_ballots = 7  # in "),
        "{told}"
    );
    assert!(
        told.text.contains("result.listen = \"127.0.0.1:5\"  # in "),
        "{told}"
    );
}

#[test]
fn an_address_to_listen_on_may_have_a_name_and_the_error_says_how_to_write_it() {
    with("VOTING_VOTE__LISTEN", "localhost:8080").ended(0);
    for (listen, hint) in [
        (":8080", "0.0.0.0:8080 for all its addresses"),
        ("8080", "127.0.0.1:8080 for this machine only"),
        ("localhost", "the port is missing"),
        ("http://localhost:8080/", "leave the scheme out"),
    ] {
        with("VOTING_VOTE__LISTEN", listen).ended(1).says(
            "FAIL",
            "settings",
            &[
                "vote.listen",
                hint,
                "in the environment, VOTING_VOTE__LISTEN",
            ],
        );
        let flag = Told::by(&good(), &["--vote-listen", listen, "config", "check"]);
        assert_eq!(flag.code, 2);
        assert!(flag.errors.contains(hint), "{flag}");
    }
}

#[test]
fn a_password_in_an_address_is_never_told_and_how_to_write_it_is() {
    for (key, url, hint) in [
        (
            "VOTING_POSTGRES__URL",
            "postgres://u:SEC@RET@h/d",
            "@ as %40",
        ),
        (
            "VOTING_POSTGRES__URL",
            "postgres://u:SEC/RET@h/d",
            "/ as %2F",
        ),
        (
            "VOTING_POSTGRES__URL",
            "postgres://u:SEC#RET@h/d",
            "# as %23",
        ),
        (
            "VOTING_POSTGRES__URL",
            "postgres://u:SECRET@h:port/d",
            "port",
        ),
        ("VOTING_POSTGRES__URL", "u:SECRET@h/d", "like postgres://"),
        ("VOTING_POSTGRES__URL", "SECRET=1", "like postgres://"),
        ("VOTING_REDIS__URL", "redis://u:SEC@RET@h:1/", "@ as %40"),
        ("VOTING_REDIS__URL", "rediss://u:@SECRET@h", "@ as %40"),
        ("VOTING_REDIS__URL", "redis://u:SEC/RET@h", "/ as %2F"),
        ("VOTING_REDIS__URL", "redis://u:6379#SECRET@h", "# as %23"),
        ("VOTING_REDIS__URL", "redis://u:SECRET@h:port", "port"),
        ("VOTING_REDIS__URL", "u:SECRET@h:6379", "like redis://"),
        (
            "VOTING_REDIS__URL",
            "redis://u:SECRET@h/zero",
            "database number",
        ),
        (
            "VOTING_VOTE__PUBLIC_URL",
            "https://u:SECRET@h",
            "without a user name",
        ),
        (
            "VOTING_TRACES__ENDPOINT",
            "http://u:SECRET@h",
            "without a user name",
        ),
    ] {
        let told = with(key, url);
        let setting = key.trim_start_matches("VOTING_").to_lowercase();
        let setting = setting.replace("__", ".");
        told.ended(1)
            .says("FAIL", "settings", &[&setting, hint, key]);
        let all = format!("{told}");
        assert!(!all.contains("SEC") && !all.contains("RET"), "{all}");
        assert!(!all.contains("InvalidClientConfig"), "{all}");
    }
    // The error of a file that is not TOML does not show the wrong line.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("voting.toml");
    fs::write(&file, "[redis]\nurl = redis://u:SECRET@h\n").unwrap();
    let told = check(&good(), &["--config", file.to_str().unwrap()]);
    told.ended(1)
        .says("FAIL", "settings", &["voting.toml", "line 2"]);
    assert!(!told.to_string().contains("SECRET"), "{told}");
}

#[test]
fn a_secret_that_is_no_text_is_not_shown() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt, process::Command};
    let output = Command::new(env!("CARGO_BIN_EXE_voting"))
        .env_clear()
        .env("VOTING_SECRET", OsStr::from_bytes(b"SECRET\xff"))
        .args(["config", "check"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("VOTING_SECRET is not UTF-8"), "{told}");
    assert!(
        !told.contains("SECRET\\") && !told.contains("\"SECRET"),
        "{told}"
    );
}

#[test]
fn how_postgres_is_encrypted_is_taken_as_it_is_meant_or_refused() {
    for mode in ["disable", "allow", "prefer", "require", "verify-full"] {
        with(
            "VOTING_POSTGRES__URL",
            &format!("postgres://h/d?sslmode={mode}"),
        )
        .ended(0);
    }
    with("VOTING_POSTGRES__URL", "postgres://h/d?sslmode=verify-ca")
        .ended(1)
        .says("FAIL", "settings", &["postgres.url", "write verify-full"]);
    with("VOTING_POSTGRES__URL", "postgres://h/d?sslmode=on")
        .ended(1)
        .says("FAIL", "settings", &["disable, require or verify-full"]);
}

#[test]
fn a_fault_in_a_poll_is_reported_with_the_poll_the_field_and_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("voting.toml");
    let path = file.to_str().unwrap();
    let told = |text: &str| {
        fs::write(&file, text).unwrap();
        check(&good(), &["--config", path])
    };
    let options = "options = [{ id = 'a', label = 'A' }, { id = 'b', label = 'B' }]";
    for (poll, parts) in [
        (format!("title = 't'\n{options}"), &["polls[1]", "id is missing"][..]),
        (format!("id = 'lunch'\n{options}"), &["polls[1] (lunch)", "title is missing"]),
        (format!("id = 'lunch'\ntitel = 't'\n{options}"), &["polls[1] (lunch)", "unknown field titel", "id, title, description, options, max_choices"]),
        (format!("id = 'Lu nch'\ntitle = 't'\n{options}"), &["polls[1] (Lu nch).id"]),
        (format!("id = 'lunch'\ntitle = ''\n{options}"), &["polls[1] (lunch).title"]),
        (format!("id = 'lunch'\ntitle = 't'\nmax_choices = 'many'\n{options}"), &["polls[1] (lunch).max_choices", "many"]),
        (format!("id = 'lunch'\ntitle = 't'\nmax_choices = 3\n{options}"), &["polls[1] (lunch)", "1 to 2 choices"]),
        ("id = 'lunch'\ntitle = 't'\noptions = [{ id = 'a', label = 'A' }]".to_owned(), &["polls[1] (lunch)", "2 to 63 options"]),
        ("id = 'lunch'\ntitle = 't'\noptions = [{ id = 'a', label = 'A' }, { id = 'b' }]".to_owned(), &["polls[1] (lunch).options[1]", "label is missing"]),
        ("id = 'lunch'\ntitle = 't'\noptions = [{ id = 'a', label = 'A' }, { id = 'b', label = ' ' }]".to_owned(), &["polls[1] (lunch).options[1].label"]),
        ("id = 'lunch'\ntitle = 't'\noptions = [{ id = 'a', label = 'A' }, { id = 'B!', label = 'B' }]".to_owned(), &["polls[1] (lunch).options[1].id"]),
        ("id = 'lunch'\ntitle = 't'\noptions = 'a, b'".to_owned(), &["polls[1] (lunch).options"]),
        (format!("id = 'first'\ntitle = 't'\n{options}"), &["polls[1].id", "polls[0] has the same id, first"]),
    ] {
        let text = format!("[[polls]]\nid = 'first'\ntitle = 'F'\n{options}\n[[polls]]\n{poll}");
        let mut parts = parts.to_vec();
        let place = format!("(set in {path})");
        parts.push(&place);
        told(&text).ended(1).says("FAIL", "settings", &parts);
    }
    // All faults are reported together.
    let text = "[vote]\nmax_connections = 'x'\n[[polls]]\nid = 'p'\n[[polls]]\ntitle = 't'\n";
    told(text)
        .ended(1)
        .says("FAIL", "settings", &["vote.max_connections"])
        .says("FAIL", "settings", &["polls[0] (p)", "title is missing"])
        .says("FAIL", "settings", &["polls[1]", "id is missing"]);
}

#[test]
fn polls_can_be_given_by_the_environment() {
    let json = r#"[{"id":"lunch","title":"Lunch?","options":[{"id":"a","label":"A"},{"id":"b","label":"B"}]}]"#;
    let list = "[{ id = 'lunch', title = 'Lunch?', options = [{ id = 'a', label = 'A' }, { id = 'b', label = 'B' }] }]";
    let document = "[[polls]]\nid = 'lunch'\ntitle = 'Lunch?'\noptions = [{ id = 'a', label = 'A' }, { id = 'b', label = 'B' }]\n";
    for polls in [json, list, document] {
        with("VOTING_POLLS", polls).ended(0);
        let mut settings = good();
        settings.push(("VOTING_POLLS", polls.to_owned()));
        let told = Told::by(&settings, &["config", "show"]);
        let line = told.text.lines().find(|line| line.starts_with("polls = "));
        let line = line.unwrap_or_else(|| panic!("{told}"));
        assert!(
            line.contains("Lunch?") && line.ends_with("# in the environment, VOTING_POLLS"),
            "{line}"
        );
    }
    for (polls, part) in [
        ("lunch", "neither in JSON"),
        ("{}", "neither in JSON"),
        ("[[polls]]\nid = ", "line 2"),
        ("[]", "the list is empty"),
        (r#"[{"id":"lunch"}]"#, "polls[0] (lunch): title is missing"),
        (
            r#"[{"id":"lunch","title":"t","options":[]}]"#,
            "2 to 63 options",
        ),
        (
            r#"[{"id":"lunch","title":7,"options":[]}]"#,
            "polls[0] (lunch).title: it is the number 7, and must be a text",
        ),
        (
            r#"[{"id":"lunch","title":"t","max_choices":1.9,"options":[]}]"#,
            "polls[0] (lunch).max_choices: it is the number 1.9, and must be a whole number",
        ),
        (
            r#"[{"id":"lunch","id":"supper","title":"t","options":[]}]"#,
            "field `id` is there twice",
        ),
        (
            r#"[{"id":"lunch","title":"t","options":[{"id":"a","label":"A","label":"B"}]}]"#,
            "field `label` is there twice",
        ),
    ] {
        with("VOTING_POLLS", polls)
            .ended(1)
            .says("FAIL", "settings", &[part, "VOTING_POLLS"]);
    }
    with("VOTING_POLLS__0__ID", "lunch").ended(1).says(
        "FAIL",
        "settings",
        &["polls is not a list", "VOTING_POLLS"],
    );
}

#[test]
fn a_value_in_a_file_has_the_right_type_and_is_never_rounded() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("voting.toml");
    let path = file.to_str().unwrap();
    let told = |text: &str| {
        fs::write(&file, text).unwrap();
        check(&[], &["--config", path])
    };
    let poll = |field: &str| {
        let fields = ["id = 'p'", "title = 't'", "max_choices = 2"];
        let name = field.split(' ').next().unwrap();
        let fields = fields.map(|other| {
            if other.starts_with(name) {
                field
            } else {
                other
            }
        });
        let label = if name == "label" {
            field
        } else {
            "label = 'A'"
        };
        format!(
            "[[polls]]\n{}\noptions = [{{ id = 'a', {label} }}, {{ id = 'b', label = 'B' }}]",
            fields.join("\n")
        )
    };
    let at = |value: &str| format!("it is {value}, and must be a");
    for (text, place, fault) in [
        (
            poll("max_choices = 2.9"),
            "polls[0] (p).max_choices: ",
            at("the number 2.9"),
        ),
        (
            poll("max_choices = 2.0"),
            "polls[0] (p).max_choices: ",
            at("the number 2.0"),
        ),
        (
            poll("max_choices = true"),
            "polls[0] (p).max_choices: ",
            at("true"),
        ),
        (
            poll("max_choices = '2'"),
            "polls[0] (p).max_choices: ",
            at("\"2\""),
        ),
        (
            poll("max_choices = -1"),
            "polls[0] (p).max_choices: ",
            at("the number -1"),
        ),
        (poll("id = 1"), "polls[0] (1).id: ", at("the number 1")),
        (poll("title = false"), "polls[0] (p).title: ", at("false")),
        (
            poll("label = 1.50"),
            "polls[0] (p).options[0].label: ",
            at("the number 1.5"),
        ),
        (
            "vote.max_connections = '300'".into(),
            "vote.max_connections: ",
            at("\"300\""),
        ),
        (
            "vote.max_connections = 299.9".into(),
            "vote.max_connections: ",
            at("the number 299.9"),
        ),
        (
            "vote.public_port = 0".into(),
            "vote.public_port: ",
            at("the number 0"),
        ),
        (
            "redis.shards = 70000".into(),
            "redis.shards: ",
            "a whole number in 0 to 65535".into(),
        ),
        (
            "redis.cluster = 1".into(),
            "redis.cluster: ",
            "and must be true or false".into(),
        ),
        (
            "show_served_by = 'yes'".into(),
            "show_served_by: ",
            "and must be true or false".into(),
        ),
        (
            "traces.sample_ratio = '0.5'".into(),
            "traces.sample_ratio: ",
            at("\"0.5\""),
        ),
        ("log = 1".into(), "log: ", "and must be a text".into()),
        (
            "vote.listen = 8080".into(),
            "vote.listen: ",
            "and must be a text".into(),
        ),
        (
            "trusted_proxies = [1]".into(),
            "trusted_proxies[0]: ",
            at("the number 1"),
        ),
        (
            "[default_poll]\nx = 1".into(),
            "default_poll: ",
            at("a section"),
        ),
        (
            "vote = 'x'".into(),
            "vote: ",
            "it must be a section; known in it: listen".into(),
        ),
    ] {
        let set = format!("(set in {path})");
        told(&text)
            .ended(1)
            .says("FAIL", "settings", &[place, &fault, &set]);
    }
    // A secret that is not text is not shown.
    let secret = told("secret = 12345678901234567").ended(1).to_string();
    assert!(secret.contains("secret: it must be a text") && !secret.contains("123456"));
    let good = format!(
        "show_served_by = true\nvote.max_connections = 300\ntraces.sample_ratio = 1\n{}",
        poll("id = 'p'")
    );
    told(&good).ended(0);
}

#[test]
fn a_value_in_a_variable_is_text_and_read_as_what_it_must_be() {
    for (key, value) in [
        ("VOTING_VOTE__MAX_CONNECTIONS", "300"),
        ("VOTING_SHOW_SERVED_BY", "true"),
        ("VOTING_REDIS__CLUSTER", "FALSE"),
        ("VOTING_TRACES__SAMPLE_RATIO", "0.5"),
        ("VOTING_TRACES__SAMPLE_RATIO", "1"),
    ] {
        with(key, value).ended(0);
    }
    let most = r#"[{"id":"p","title":"t","max_choices":"2","options":[{"id":"a","label":"1"},{"id":"b","label":"2"}]}]"#;
    with("VOTING_POLLS", most).ended(0);
    for (key, value, fault) in [
        (
            "VOTING_VOTE__MAX_CONNECTIONS",
            "2.9",
            "it is \"2.9\", and must be a whole number, 0 or more",
        ),
        (
            "VOTING_VOTE__MAX_CONNECTIONS",
            "true",
            "it is \"true\", and must be a whole number",
        ),
        (
            "VOTING_REDIS__SHARDS",
            "-1",
            "it is the number -1, and must be a whole number in 0 to 65535",
        ),
        (
            "VOTING_SHOW_SERVED_BY",
            "maybe",
            "it is \"maybe\", and must be true or false",
        ),
        (
            "VOTING_TRACES__SAMPLE_RATIO",
            "half",
            "it is \"half\", and must be a number",
        ),
        (
            "VOTING_LOG_FORMAT",
            "JSON",
            "log_format: \"JSON\" is not a format; write text or json",
        ),
        (
            "VOTING_VOTE",
            "x",
            "vote: it must be a section; known in it: listen, public_url",
        ),
        (
            "VOTING_POLLS",
            "[1]",
            "polls[0]: it is not a table of id, title, description, options, max_choices",
        ),
    ] {
        let told = with(key, value);
        told.ended(1).says(
            "FAIL",
            "settings",
            &[fault, &format!("(set in the environment, {key})")],
        );
    }
    // If the end of a setting's name is missing, the log must not show the password.
    let told = with("VOTING_REDIS", "redis://u:SECRET@h").to_string();
    assert!(
        told.contains("redis: it must be a section") && !told.contains("SECRET"),
        "{told}"
    );
}

#[test]
fn services_that_would_listen_in_the_same_place_are_named() {
    let listen = |vote: &str, result: &str, worker: &str| {
        let settings = [
            ("VOTING_VOTE__LISTEN", vote.to_owned()),
            ("VOTING_RESULT__LISTEN", result.to_owned()),
            ("VOTING_WORKER__LISTEN", worker.to_owned()),
        ];
        let told = check(&settings, &[]);
        let program = Told::by(&settings, &["--check-config"]);
        assert_eq!(told.code, program.code, "{told}{program}");
        // As separate services, they may run on different machines.
        let mut apart = good();
        apart.extend(settings);
        check(&apart, &[]).ended(0);
        told
    };
    listen("127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:2")
        .ended(1)
        .says(
            "FAIL",
            "settings",
            &[
                "vote.listen and result.listen are both 127.0.0.1:1",
                "VOTING_VOTE__LISTEN",
            ],
        );
    listen("0.0.0.0:1", "127.0.0.1:3", "127.0.0.1:1")
        .ended(1)
        .says(
            "FAIL",
            "settings",
            &["vote.listen and worker.listen clash, as 0.0.0.0:1 and 127.0.0.1:1"],
        );
    listen("127.0.0.1:0", "127.0.0.1:0", "127.0.0.2:0").ended(0);
    listen("127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1").ended(0);
}

#[test]
fn the_labels_of_the_course_are_settings() {
    let told = with("OPTION_A", "Tea");
    told.ended(0);
    let mut settings = good();
    settings.push(("OPTION_A", "Tea".to_owned()));
    let told = Told::by(&settings, &["config", "show"]);
    let line = "option_a = \"Tea\"  # in the environment, OPTION_A";
    assert!(told.text.lines().any(|told| told == line), "{told}");
    with("OPTION_B", "a\u{7}b")
        .ended(1)
        .says("FAIL", "settings", &["option_b", "OPTION_B"]);
    let told = check(&settings, &["--for", "vote"]);
    told.ended(0)
        .says("warn", "settings", &["OPTION_A", "voting-worker"]);
    settings.push((
        "VOTING_POLLS",
        r#"[{"id":"p","title":"t","options":[{"id":"a","label":"A"},{"id":"b","label":"B"}]}]"#
            .to_owned(),
    ));
    check(&settings, &[])
        .ended(0)
        .says("warn", "settings", &["OPTION_A", "polls are configured"]);
}

#[test]
fn a_program_says_what_keeps_it_from_starting_without_starting() {
    let told = Told::by(&[], &["--check-config"]);
    told.ended(0);
    assert_eq!(told.text, "voting: the settings are good\n");
    let wrong = [
        ("VOTING_VOTE__LISTEN", "x".to_owned()),
        ("VOTING_LOG", "x".to_owned()),
    ];
    let told = Told::by(&wrong, &["--check-config"]);
    told.ended(1);
    for part in ["vote.listen", "VOTING_LOG"] {
        assert!(told.errors.contains(part), "{told}");
    }
}
