//! What the alert rules and the dashboard ask for is what the services tell.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
};

use promql_parser::{
    label::{MatchOp, Matcher},
    parser::{self, Expr, VectorSelector},
    util::{ExprVisitor, walk_expr},
};
use serde_json::Value;
use support::settled;
use voting_testing::{Deployment, RedisServer, agent, await_some, await_that, root};

/// What Prometheus makes by itself.
const PROMETHEUS_METRICS: [&str; 2] = ["up", "ALERTS"];
const PROMETHEUS_LABELS: [&str; 2] = ["job", "instance"];

fn file(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(path: &str) -> Value {
    serde_norway::from_str(&file(path)).expect("YAML")
}

fn items(value: &Value) -> &Vec<Value> {
    value.as_array().expect("a list")
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
}

fn alerts() -> Vec<Value> {
    let rules = yaml("monitoring/alerts.yaml");
    let groups = items(&rules["groups"]).iter();
    let rules = groups.flat_map(|group| items(&group["rules"]).clone());
    rules.collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&file("monitoring/dashboard.json")).expect("JSON")
}

/// All that is asked of Prometheus, with who asks.
fn queries() -> Vec<(String, String)> {
    let alerts = alerts().into_iter();
    let mut queries: Vec<_> = alerts
        .map(|alert| (text(&alert["alert"]).into(), text(&alert["expr"]).into()))
        .collect();
    let dashboard = dashboard();
    for panel in items(&dashboard["panels"]) {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = text(&target["expr"]).replace("$__rate_interval", "5m");
            queries.push((text(&panel["title"]).to_owned(), query));
        }
    }
    for annotation in items(&dashboard["annotations"]["list"]) {
        queries.push((
            "an annotation".to_owned(),
            text(&annotation["expr"]).to_owned(),
        ));
    }
    queries
}

/// What a query asks for.
#[derive(Default)]
struct Asked {
    metrics: Vec<(String, Vec<Matcher>)>,
    labels: BTreeSet<String>,
}

impl Asked {
    fn of(query: &str) -> Self {
        let query = parser::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        let mut asked = Self::default();
        walk_expr(&mut asked, &query).expect("it cannot fail");
        asked
    }

    fn metric(&mut self, selector: &VectorSelector) {
        let name = selector.name.clone().expect("a metric's name");
        assert!(selector.matchers.or_matchers.is_empty());
        self.metrics
            .push((name, selector.matchers.matchers.clone()));
    }
}

impl ExprVisitor for Asked {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Self::Error> {
        match expression {
            Expr::VectorSelector(selector) => self.metric(selector),
            Expr::MatrixSelector(selector) => self.metric(&selector.vs),
            Expr::Aggregate(aggregate) => {
                let labels = aggregate.modifier.iter().flat_map(|by| &by.labels().labels);
                self.labels.extend(labels.cloned());
            }
            Expr::Binary(binary) => {
                let matching = binary
                    .modifier
                    .iter()
                    .filter_map(|how| how.matching.as_ref());
                let labels = matching.flat_map(|on| &on.labels().labels);
                self.labels.extend(labels.cloned());
            }
            _ => {}
        }
        Ok(true)
    }
}

/// Of each metric, the values of its labels.
type Told = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// Reads what a service tells; no value has a comma or a brace in it.
fn read(told: &str, into: &mut Told) {
    for line in told.lines().filter(|line| !line.starts_with('#')) {
        let (sample, _) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
        let known = into.entry(name.to_owned()).or_default();
        let labels = labels.trim_end_matches('}').split(',');
        for label in labels.filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once('=').expect("a label");
            let values = known.entry(label.to_owned()).or_default();
            values.insert(value.trim_matches('"').to_owned());
        }
    }
}

fn metrics(url: &str) -> String {
    let mut answer = agent()
        .get(format!("{url}/metrics"))
        .call()
        .expect("an answer");
    answer.body_mut().read_to_string().expect("a text")
}

#[test]
fn all_that_is_asked_for_is_reported() {
    let mut deployment = Deployment::new();
    // One that can be full.
    deployment.redis = RedisServer::start_with(&["--maxmemory", "200mb"]);
    let (worker, vote, result) = (deployment.worker(), deployment.vote(), deployment.result());
    for service in [&worker, &vote, &result] {
        await_that("it is ready", || service.is_ready());
    }
    let ballot = agent().post(format!("{}/", vote.url));
    let form = ballot.content_type("application/x-www-form-urlencoded");
    assert_eq!(form.send("vote=a").expect("an answer").status(), 200);
    settled(&worker);
    // The numbers of the stores are up to a second old.
    let of_worker = await_some("the worker tells of the ballot, and of webhooks", || {
        let told = metrics(&worker.url);
        let is_whole =
            told.contains("voting_counted_ballots 1") && told.contains("voting_webhooks{");
        is_whole.then_some(told)
    });
    let (of_vote, of_result) = (metrics(&vote.url), metrics(&result.url));
    for (told, what) in [
        (&of_vote, r#"voting_casts_total{outcome="accepted"} 1"#),
        (&of_vote, r#"voting_casts_total{outcome="refused"} 0"#),
        (&of_vote, "voting_ready 1"),
        (&of_result, "voting_ready 1"),
        (&of_worker, "voting_ready 1"),
        (&of_worker, r#"voting_polls{state="open"} 1"#),
        (&of_worker, "voting_pending_ballots 0"),
        (&of_worker, "voting_lost_entries_total 0"),
        (&of_worker, "voting_log_memory_limit_bytes 209715200"),
    ] {
        assert!(told.contains(what), "no {what} in {told}");
    }
    let mut told = Told::new();
    for service in [of_vote, of_result, of_worker] {
        read(&service, &mut told);
    }

    for (who, query) in queries() {
        let asked = Asked::of(&query);
        assert!(!asked.metrics.is_empty(), "{who} asks for nothing");
        let mut labels: HashSet<&str> = PROMETHEUS_LABELS.into();
        for (name, matchers) in &asked.metrics {
            if PROMETHEUS_METRICS.contains(&name.as_str()) {
                continue;
            }
            let known = told.get(name);
            let known = known.unwrap_or_else(|| panic!("{who}: nobody tells {name}"));
            labels.extend(known.keys().map(String::as_str));
            for matcher in matchers {
                is_told(&who, name, matcher, known);
            }
        }
        for label in &asked.labels {
            assert!(labels.contains(label.as_str()), "{who}: no label {label}");
        }
    }

    deployment.redis.kill();
    await_that("the vote service says that it is not ready", || {
        metrics(&vote.url).contains("voting_ready 0")
    });
}

/// Each value that a query picks is one that there is.
fn is_told(who: &str, name: &str, matcher: &Matcher, known: &BTreeMap<String, BTreeSet<String>>) {
    if PROMETHEUS_LABELS.contains(&matcher.name.as_str()) {
        return;
    }
    let values = known.get(&matcher.name);
    let values = values.unwrap_or_else(|| panic!("{who}: {name} has no label {}", matcher.name));
    let picked: Vec<_> = match matcher.op {
        MatchOp::Equal => vec![matcher.value.as_str()],
        MatchOp::Re(_) => matcher.value.split('|').collect(),
        _ => panic!("{who}: look at this by hand"),
    };
    for value in picked {
        assert!(values.contains(value), "{who}: no {name} of {value}");
    }
}

#[test]
fn each_alert_says_what_to_do_and_is_tested() {
    let headings: HashSet<String> = file("docs/operations.md")
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(str::to_lowercase)
        .collect();
    let tests = file("monitoring/alerts_test.yaml");
    let alerts = alerts();
    for alert in &alerts {
        let name = text(&alert["alert"]);
        let severity = text(&alert["labels"]["severity"]);
        assert!(
            ["critical", "warning", "info"].contains(&severity),
            "{name}"
        );
        assert!(!text(&alert["annotations"]["summary"]).is_empty());
        let runbook = text(&alert["annotations"]["runbook"]);
        let heading = runbook.strip_prefix("docs/operations.md#");
        assert_eq!(heading, Some(name.to_lowercase().as_str()));
        assert!(
            headings.contains(&name.to_lowercase()),
            "no runbook for {name}"
        );
        let fires = format!("alertname: {name}\n        exp_alerts:\n          - exp_labels");
        assert!(tests.contains(&fires), "no test sees {name} fire");
    }
    let names: HashSet<_> = alerts.iter().map(|alert| text(&alert["alert"])).collect();
    assert_eq!(names.len(), alerts.len(), "names are used once");
    assert!(names.len() > 10);
}

#[test]
fn the_dashboard_is_whole() {
    let dashboard = dashboard();
    assert_eq!(dashboard["uid"], "voting");
    let variable = &dashboard["templating"]["list"][0];
    assert_eq!(
        (&variable["name"], &variable["type"]),
        (&"datasource".into(), &"datasource".into())
    );
    let mut ids = HashSet::new();
    let mut taken = HashSet::new();
    for panel in items(&dashboard["panels"]) {
        let title = text(&panel["title"]);
        assert!(
            ids.insert(panel["id"].as_u64().expect("a number")),
            "{title}"
        );
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| {
            let side = &panel["gridPos"][side];
            side.as_u64().expect("a number")
        });
        assert!(x + w <= 24, "{title} is too wide");
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(place), "{title} lies over another");
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(["stat", "table", "timeseries"].contains(&text(&panel["type"])));
        assert!(!text(&panel["description"]).is_empty());
        assert_eq!(panel["datasource"]["uid"], "${datasource}");
        let mut refs = HashSet::new();
        for target in items(&panel["targets"]) {
            assert!(refs.insert(text(&target["refId"])), "{title}");
            assert_eq!(target["datasource"]["uid"], "${datasource}");
        }
    }
}
