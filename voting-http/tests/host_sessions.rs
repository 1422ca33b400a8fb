//! How long somebody is signed in to the host's pages, in one process and in several.

mod support;

use std::{
    net::TcpListener as StdListener,
    sync::Arc,
    time::{Duration, Instant},
};

use support::{BROWSER, OPERATOR_TOKEN, Services, Setup, get, host_browser::Browser};
use tokio::net::TcpListener;
use voting_core::{SecretKey, Worker, WorkerOptions, store::AuditLog};
use voting_http::{OperatorService, ServeOptions, serve};

/// Another process with the same store. Its address.
fn another_process(services: &Services) -> String {
    let memory = services.memory.clone();
    let (all, queue) = (Arc::new(memory.clone()), Arc::new(memory.queue()));
    services.block_on(async {
        let options = WorkerOptions::default();
        let worker = Worker::new(queue.clone(), all.clone(), all.clone(), options).start();
        let token = SecretKey::new(OPERATOR_TOKEN).expect("long enough");
        let service = OperatorService::builder(worker, queue, all, &token).build();
        let socket = StdListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", socket.local_addr().expect("an address"));
        socket.set_nonblocking(true).expect("a socket");
        let socket = TcpListener::from_std(socket).expect("a socket");
        let (options, stop) = (ServeOptions::default(), services.stop.clone());
        tokio::spawn(serve(socket, service.into_endpoint(), options, stop));
        url
    })
}

#[test]
fn a_copied_cookie_is_worthless_once_somebody_has_signed_out() {
    let mut browser = Browser::signed_in();
    let other = another_process(&browser.services);
    let there = |cookie: &str| get(&other, &[BROWSER, ("cookie", cookie)]).status;
    let copy = browser.cookie.clone();
    assert_eq!(there(&copy), 200);

    // Another browser, whose session goes on.
    browser.cookie.clear();
    browser.sign_in();
    let mine = std::mem::replace(&mut browser.cookie, copy.clone());
    let answer = browser.post("/sign-out", &[]);
    assert_eq!(answer.header("location"), "/sign-in?done=signed-out");
    // Not the cookies: those of voters would go, too.
    assert_eq!(answer.header("clear-site-data"), "\"cache\", \"storage\"");
    assert_eq!(browser.get("/").header("location"), "/sign-in?ended=1");
    assert_eq!(browser.post("/people", &[("name", "eve")]).status, 401);
    assert_eq!(there(&copy), 303);
    assert_eq!(there(&mine), 200);
    // Again, which does nothing.
    browser.post("/sign-out", &[]);

    let log = browser.services.memory.audit_log(0, 100);
    let log = browser.services.block_on(log).expect("the log");
    let told = |action: &str| {
        let notes = log.iter().filter(|entry| entry.note.action == action);
        notes.map(|entry| &*entry.note.by).collect::<Vec<_>>()
    };
    assert_eq!(told("session.began"), ["operator", "operator"]);
    assert_eq!(told("session.ended"), ["operator"]);
}

#[test]
fn who_signs_in_again_has_another_session_and_the_one_before_is_over() {
    let mut browser = Browser::signed_in();
    let before = browser.cookie.clone();
    browser.sign_in();
    assert_ne!(browser.cookie, before);
    assert_eq!(browser.get("/").status, 200);
    browser.cookie = before;
    assert_eq!(browser.get("/").header("location"), "/sign-in?ended=1");
}

const IDLE: Duration = Duration::from_millis(1_500);

#[test]
fn who_does_nothing_is_signed_out_also_while_a_script_loads_figures() {
    let mut browser = Browser::new(Services::set_up(|_| Setup {
        operator: |builder| builder.idle_time_out(IDLE),
        ..Setup::default()
    }));
    browser.sign_in();
    let since = Instant::now();
    while since.elapsed() < IDLE * 2 {
        assert_eq!(browser.get("/").status, 200);
    }
    let page = format!("{}/polls/many", browser.services.operator);
    let refresh = [BROWSER, ("cookie", &*browser.cookie), ("x-refresh", "1")];
    assert_eq!(get(&page, &refresh).status, 200);
    voting_testing::await_that("the session is over", || get(&page, &refresh).status == 303);
    // A form is not done, and is not lost.
    let asked = browser.post("/polls/many/close", &[("confirm", "many")]);
    assert_eq!(asked.status, 401);
    assert!(asked.body.contains(r#"name="confirm" value="many""#));
}
