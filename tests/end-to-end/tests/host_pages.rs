//! The host's pages of workers, which share Postgres, behind a proxy.

use std::time::Duration;

use ureq::{Agent, http::Response};
use voting_testing::{Deployment, Service, ServiceKind, TOKEN, await_some};

const HOST: &str = "https://host.example.org";
const VOTE: &str = "https://vote.example.org";

fn agent() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(Duration::from_secs(30)));
    config.build().new_agent()
}

fn worker(deployment: &Deployment) -> Service {
    let mut command = deployment.command(ServiceKind::Worker);
    command
        .env("VOTING_WORKER__PUBLIC_URL", HOST)
        .env("VOTING_VOTE__PUBLIC_URL", VOTE);
    let worker = Service::start(&mut command, ServiceKind::Worker.announces());
    worker.await_ready();
    worker
}

/// Sends a form, as the browser of a host does.
fn post(worker: &Service, path: &str, cookie: &str, form: &[(&str, &str)]) -> Response<ureq::Body> {
    let request = agent()
        .post(format!("{}{path}", worker.url))
        .header("origin", HOST)
        .header("accept", "text/html")
        .header("cookie", cookie);
    request.send_form(form.iter().copied()).expect("an answer")
}

fn get(worker: &Service, path: &str, cookie: &str) -> (u16, String) {
    let request = agent().get(format!("{}{path}", worker.url));
    let request = request.header("accept", "text/html");
    let mut answer = request.header("cookie", cookie).call().expect("an answer");
    let page = answer.body_mut().read_to_string().expect("a text");
    (answer.status().as_u16(), page)
}

fn sign_in(worker: &Service, token: &str) -> String {
    let answer = post(worker, "/sign-in", "", &[("sign_in_token", token)]);
    assert_eq!(answer.status(), 303);
    let cookie = answer.headers()["set-cookie"].to_str().expect("a text");
    assert!(
        cookie.starts_with("__Host-host=") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
    cookie.split(';').next().expect("a cookie").to_owned()
}

#[test]
fn workers_know_the_voters_address_and_who_is_signed_in() {
    let deployment = Deployment::new();
    let (first, second) = (worker(&deployment), worker(&deployment));
    let cookie = sign_in(&first, TOKEN);
    let (status, page) = get(&second, "/polls/cats-vs-dogs", &cookie);
    assert_eq!(
        status, 200,
        "signed in at one worker is signed in at all: {page}"
    );
    let address = format!("value=\"{VOTE}/polls/cats-vs-dogs\"");
    assert!(
        page.contains(&address) && page.contains("class=\"qr\""),
        "{page}"
    );

    let mut made = post(
        &first,
        "/people",
        &cookie,
        &[("name", "anna"), ("role", "host")],
    );
    let page = made.body_mut().read_to_string().expect("a text");
    let (_, rest) = page.split_once("value=\"vt-").expect("a token");
    let token = format!("vt-{}", rest.split('"').next().expect("its end"));
    let of_anna = sign_in(&second, &token);
    assert_eq!(get(&first, "/", &of_anna).0, 200);
    let revoked = post(&first, "/people/anna/revoke", &cookie, &[]);
    assert_eq!(revoked.status(), 303);
    assert_eq!(get(&first, "/", &of_anna).0, 303, "at once");
    await_some("the other worker hears of it", || {
        (get(&second, "/", &of_anna).0 == 303).then_some(())
    });

    // Who signs out at one worker is signed out at all, also with a copy of the cookie.
    let signed_out = post(&second, "/sign-out", &cookie, &[]);
    assert_eq!(signed_out.status(), 303);
    for worker in [&first, &second] {
        assert_eq!(get(worker, "/", &cookie).0, 303, "at once");
    }
}
