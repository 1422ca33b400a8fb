//! Hosts who sign in at an identity provider: what the doctor says of it, and a provider that does not answer.

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::{Voting, command, deployment::Told};
use ureq::Agent;
use voting_testing::oidc::{CLIENT_ID, CLIENT_SECRET, IdentityProvider, Wrong};

fn settings(provider: &IdentityProvider) -> [(&'static str, String); 5] {
    [
        ("VOTING_WORKER__PUBLIC_URL", "http://hosts.test".to_owned()),
        ("VOTING_HOST_LOGIN__ISSUER", provider.issuer.clone()),
        ("VOTING_HOST_LOGIN__CLIENT_ID", CLIENT_ID.to_owned()),
        ("VOTING_HOST_LOGIN__CLIENT_SECRET", CLIENT_SECRET.to_owned()),
        ("VOTING_HOST_LOGIN__OPERATORS", "admins".to_owned()),
    ]
}

#[test]
fn the_doctor_looks_at_the_provider_of_hosts() {
    let provider = IdentityProvider::start("127.0.0.1");
    let settings = settings(&provider);
    let told = || Told::by(&settings, &["doctor"]);
    told().says("ok", "host login", &["answers, and has 1 key"]);
    provider.goes(Wrong {
        document: Box::new(|document| document["code_challenge_methods_supported"] = json!([])),
        ..Wrong::default()
    });
    told().says("warn", "host login", &["PKCE by S256"]);
    provider.goes(Wrong {
        document: Box::new(|document| document["issuer"] = json!("https://evil.test")),
        ..Wrong::default()
    });
    told().says("FAIL", "host login", &["of another issuer"]);
    provider.goes(Wrong {
        status: Some(500),
        ..Wrong::default()
    });
    told().says("FAIL", "host login", &["cannot be used", "500"]);
}

#[test]
fn a_person_signs_in_and_a_provider_that_does_not_answer_is_reported_within_seconds() {
    let folder = tempfile::tempdir().expect("a folder");
    let provider = IdentityProvider::start("127.0.0.1");
    provider.leads_back_to("http://hosts.test/sign-in/back");
    provider.add("olga", json!({"groups": "admins"}));
    let mut command = command(folder.path());
    command.envs(settings(&provider));
    let voting = Voting::start_as(folder.path(), &mut command);
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .build()
        .new_agent();
    let operator = voting
        .operator
        .trim_end_matches("docs/")
        .trim_end_matches('/');
    let get = |path: &str, cookie: &str| {
        let asked = agent
            .get(format!("{operator}{path}"))
            .header("cookie", cookie);
        asked
            .header("accept", "text/html")
            .call()
            .expect("an answer")
    };
    // The way there and back: the path of the answer, and the cookie of the try.
    let at_provider = || {
        let there = get("/sign-in/start", "");
        let header = |name: &str| there.headers()[name].to_str().expect("a text");
        let cookie = header("set-cookie").split(';').next().expect("a cookie");
        let back = provider
            .sign_in(header("location"), "olga")
            .expect("signed in");
        let back = back.replace("http://hosts.test", "");
        (back, cookie.to_owned())
    };
    let (back, cookie) = at_provider();
    let answer = get(&back, &cookie);
    assert_eq!(answer.status(), 200);
    let session = answer.headers().get_all("set-cookie").into_iter();
    let mut session = session.map(|set| set.to_str().expect("a text"));
    let session = session
        .find(|set| set.starts_with("host="))
        .expect("a session");
    let session = session.split(';').next().expect("a cookie");
    assert_eq!(get("/people", session).status(), 200);

    let (back, cookie) = at_provider();
    provider.goes(Wrong {
        pause: Duration::from_secs(60),
        ..Wrong::default()
    });
    let since = Instant::now();
    let mut answer = get(&back, &cookie);
    let page = answer.body_mut().read_to_string().expect("a page");
    assert_eq!(answer.status(), 503, "{page}");
    assert!(page.contains("cannot be reached now"), "{page}");
    assert!(since.elapsed() < Duration::from_secs(15));
    // Others go on meanwhile.
    assert_eq!(get("/people", session).status(), 200);
}
