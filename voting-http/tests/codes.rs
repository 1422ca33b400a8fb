//! Polls with codes: one code, one counted ballot.

mod support;

use std::sync::{Arc, Barrier};

use serde_json::{Value, json};
use support::{Answer, BROWSER, FORM, JSON, OPERATOR_TOKEN, Services, Setup, get, secret, send};
use voting_core::{
    Poll, PollDirectory, PollStore,
    backends::memory::Memory,
    model::{
        poll::{ChangeTo, CodeChange, PollChange, PollSettings, Voters},
        poll_key::{PollKey, PollKeyWrap},
        poll_state::{PollState, Seals},
    },
    pipeline::poll_keys::KeyedPolls,
};
use voting_testing::await_that;

const BALLOT: &str = "/v1/polls/board/ballot";

fn wrap() -> PollKeyWrap {
    PollKeyWrap::new(&secret())
}

/// The services, with two polls of so many codes: `board` and `other`.
struct Board {
    services: Services,
    memory: Memory,
}

fn with_codes(id: &str) -> Poll {
    let mut settings = PollSettings::default();
    settings.voters = Voters::Codes;
    let poll = Poll::builder(id, "Who is on the board?");
    let poll = poll.option("a", "Anna").option("b", "Ben");
    poll.settings(settings).build().expect("a poll")
}

impl Board {
    fn start(codes: u32) -> Self {
        let services = Services::set_up(|_| Setup {
            vote: |builder| builder.poll_keys(wrap()),
            operator: |builder| builder.poll_keys(wrap()),
            ..Setup::default()
        });
        let memory = services.memory.clone();
        let keyed = KeyedPolls::new(memory.clone(), Some(wrap()));
        for id in ["board", "other"] {
            services.block_on(async {
                keyed.put_poll(&with_codes(id)).await.expect("stored");
            });
        }
        let board = Self { services, memory };
        for id in ["board", "other"] {
            board.change(id, CodeChange::Issue(codes));
        }
        board
    }

    fn change(&self, id: &str, change: CodeChange) {
        let change = PollChange::new(id.parse().expect("an id"), ChangeTo::Codes(change));
        let changed = self
            .services
            .block_on(self.memory.change_poll(&change, "test"));
        let changed = changed.expect("changed").expect("the poll");
        await_copy(&self.services, id, changed.revision());
    }

    fn key(&self, id: &str) -> PollKey {
        let id = id.parse().expect("an id");
        let poll = self.services.block_on(self.memory.poll(&id));
        let poll = poll.expect("polls").expect("the poll");
        let wrapped = poll.wrapped_key().expect("a key");
        wrap().open(&id, wrapped).expect("the key")
    }

    fn code(&self, serial: u32) -> String {
        self.key("board").codes().code(serial, 0).to_string()
    }

    fn put(&self, headers: &[(&str, &str)], choice: &str) -> Answer {
        let url = self.services.vote.clone() + BALLOT;
        let body = json!({"choices": [choice]}).to_string();
        let headers: Vec<_> = headers.iter().copied().chain([JSON]).collect();
        send("PUT", &url, &headers, body.as_bytes())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.services.vote)
    }
}

/// Waits until the vote service has this revision of a poll.
fn await_copy(services: &Services, id: &str, revision: u64) {
    let url = format!("{}/v1/polls/{id}", services.vote);
    await_that("the vote service knows the poll", || {
        let answer = get(&url, &[]);
        answer.status == 200 && answer.json()["revision"] == revision
    });
}

fn kind(answer: &Answer) -> String {
    let kind = &answer.json()["type"];
    let kind = kind.as_str().unwrap_or_default();
    kind.trim_start_matches("urn:voting:problem:").to_owned()
}

#[test]
fn a_code_has_one_vote_by_header_by_link_and_typed() {
    let board = Board::start(3);
    let code = board.code(1);
    let by_header = board.put(
        &[("voter-code", &code.to_lowercase().replace('-', " "))],
        "a",
    );
    assert_eq!(by_header.status, 202, "{}", by_header.body);
    assert_eq!(by_header.header("set-cookie"), "", "no voter's cookie");
    // The link, in a browser.
    let link = get(&board.url(&format!("/polls/board/c/{code}")), &[BROWSER]);
    assert_eq!(link.status, 303, "{}", link.body);
    assert_eq!(link.header("location"), "/polls/board");
    assert_eq!(link.header("referrer-policy"), "no-referrer");
    let cookie = link.cookie();
    assert!(cookie.starts_with("code-"), "{cookie}");
    assert!(!cookie.contains(&code) && !link.body.contains(&code));
    let page = get(&board.url("/polls/board"), &[BROWSER, ("cookie", &cookie)]);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("id=\"ballot\""), "{}", page.body);
    let by_cookie = board.put(&[("cookie", &cookie)], "b");
    assert_eq!(by_cookie.status, 202, "{}", by_cookie.body);
    assert_eq!(by_cookie.json()["voter"], by_header.json()["voter"]);
    assert_eq!(board.services.votes("board"), [0, 1]);
    // The form.
    let typed = format!("code={}", code.replace('-', "").replace('0', "o"));
    let typed = send(
        "POST",
        &board.url("/polls/board/code"),
        &[FORM, BROWSER],
        typed.as_bytes(),
    );
    assert_eq!(typed.status, 303, "{}", typed.body);
    let headers = [FORM, BROWSER, ("cookie", &typed.cookie())];
    let voted = send("POST", &board.url("/polls/board"), &headers, b"vote=a");
    assert!(
        voted.status.as_u16() < 400,
        "{} {}",
        voted.status,
        voted.body
    );
    assert_eq!(board.services.votes("board"), [1, 0]);
}

#[test]
fn without_a_code_there_is_the_form_and_no_ballot() {
    let board = Board::start(1);
    let page = get(&board.url("/polls/board"), &[BROWSER]);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("name=\"code\""), "{}", page.body);
    assert_eq!(page.header("set-cookie"), "", "no voter's cookie");
    assert_eq!(kind(&board.put(&[], "a")), "code-needed");
    let headers = [FORM, BROWSER];
    let posted = send("POST", &board.url("/polls/board"), &headers, b"vote=a");
    assert_eq!(posted.status, 401, "{}", posted.body);
    let voter = get(&board.url("/"), &[BROWSER]).cookie();
    assert_eq!(kind(&board.put(&[("cookie", &voter)], "a")), "code-needed");
    assert_eq!(board.services.votes("board"), [0, 0]);
}

#[test]
fn another_code_in_the_same_browser_is_asked_about() {
    let board = Board::start(3);
    let link = |serial, cookie: &str| {
        let url = board.url(&format!("/polls/board/c/{}", board.code(serial)));
        get(&url, &[BROWSER, ("cookie", cookie)])
    };
    let first = link(0, "x=y").cookie();
    assert_eq!(link(0, &first).status, 303);
    let asked = link(1, &first);
    assert_eq!(asked.status, 200);
    let sets_code = |set: &poem::http::HeaderValue| set.as_bytes().starts_with(b"code-");
    assert!(!asked.headers.get_all("set-cookie").iter().any(sets_code));
    assert!(asked.body.contains("name=\"replace\""), "{}", asked.body);
    let form = format!("code={}&replace=yes", board.code(1));
    let headers = [FORM, BROWSER, ("cookie", first.as_str())];
    let replaced = send(
        "POST",
        &board.url("/polls/board/code"),
        &headers,
        form.as_bytes(),
    );
    assert_eq!(replaced.status, 303);
    assert_eq!(board.put(&[("cookie", &first)], "a").status, 202);
    assert_eq!(
        board.put(&[("cookie", &replaced.cookie())], "a").status,
        202
    );
    assert_eq!(board.services.votes("board"), [2, 0]);
}

#[test]
fn a_code_of_another_poll_a_revoked_and_a_replaced_one_are_refused() {
    let board = Board::start(3);
    let foreign = board.key("other").codes().code(0, 0).to_string();
    assert_eq!(
        kind(&board.put(&[("voter-code", &foreign)], "a")),
        "invalid-code"
    );
    let link = |serial| {
        let url = board.url(&format!("/polls/board/c/{}", board.code(serial)));
        get(&url, &[BROWSER]).cookie()
    };
    let (revoked, replaced) = (link(1), link(2));
    assert_eq!(board.put(&[("cookie", &replaced)], "a").status, 202);
    board.change("board", CodeChange::Revoke(1));
    board.change("board", CodeChange::Replace(2));
    for cookie in [&revoked, &replaced] {
        assert_eq!(kind(&board.put(&[("cookie", cookie)], "b")), "invalid-code");
    }
    for serial in [1, 2] {
        let refused = board.put(&[("voter-code", &board.code(serial))], "b");
        assert_eq!(
            (kind(&refused).as_str(), refused.status.as_u16()),
            ("invalid-code", 403)
        );
    }
    assert_eq!(board.services.votes("board"), [1, 0]);
    let newer = board.key("board").codes().code(2, 1).to_string();
    assert_eq!(board.put(&[("voter-code", &newer)], "b").status, 202);
    assert_eq!(board.services.votes("board"), [0, 1], "the same voter");
    let open = "/v1/polls/cats-vs-dogs/ballot";
    let url = board.url(open);
    let with_code = send(
        "PUT",
        &url,
        &[JSON, ("voter-code", &newer)],
        br#"{"choices":["a"]}"#,
    );
    assert_eq!(with_code.status, 422, "{}", with_code.body);
}

#[test]
fn who_tries_codes_waits_and_a_right_one_is_taken_nevertheless() {
    let board = Board::start(1);
    let mut statuses = Vec::new();
    for _ in 0..70 {
        let answer = board.put(&[("voter-code", "0000-0000-0000-0000")], "a");
        statuses.push(answer.status.as_u16());
        if answer.status == 429 {
            assert!(answer.header("retry-after").parse::<u64>().is_ok());
        }
    }
    assert_eq!(statuses[..60], [403; 60]);
    assert!(statuses[65..].contains(&429), "{statuses:?}");
    assert_eq!(
        board.put(&[("voter-code", &board.code(0))], "a").status,
        202
    );
}

#[test]
fn eligibility_is_reported_by_code_and_by_cookie() {
    let board = Board::start(1);
    let asked = |poll: &str, headers: &[(&str, &str)]| {
        get(
            &board.url(&format!("/v1/polls/{poll}/eligibility")),
            headers,
        )
    };
    let told = |answer: &Answer| -> Value { answer.json() };
    let code = board.code(0);
    let yes = asked("board", &[("voter-code", &code)]);
    assert_eq!(told(&yes), json!({"eligible": true}));
    let no = told(&asked("board", &[]));
    assert_eq!(no["eligible"], false);
    assert_eq!(no["reason"], "urn:voting:problem:code-needed");
    assert_eq!(asked("board", &[("voter-code", "x")]).status, 403);
    assert_eq!(told(&asked("cats-vs-dogs", &[])), json!({"eligible": true}));
    assert_eq!(asked("none", &[]).status, 404);
}

#[test]
fn the_operator_issues_revokes_and_replaces_codes() {
    let board = Board::start(2);
    let bearer = format!("Bearer {OPERATOR_TOKEN}");
    let operator = |method: &str, path: &str, body: &Value| {
        let url = format!("{}/v1/polls/board/codes{path}", board.services.operator);
        let headers = [JSON, ("authorization", bearer.as_str())];
        send(method, &url, &headers, body.to_string().as_bytes())
    };
    let issued = operator("POST", "", &json!({"count": 1_500}));
    assert_eq!(issued.status, 200, "{}", issued.body);
    let lines: Vec<_> = issued.body.lines().collect();
    assert_eq!((lines[0], lines.len()), ("serial,code", 1_501));
    assert!(lines[1].starts_with("2,0000-0"), "{}", lines[1]);
    for count in [json!(0), json!(1_000_001), json!(-1)] {
        let refused = operator("POST", "", &json!({"count": count}));
        assert!(refused.status.is_client_error(), "{count}");
    }
    let revoked = operator("POST", "/3/revoke", &json!(null));
    assert_eq!(revoked.status, 200, "{}", revoked.body);
    let replaced = operator("POST", "/4/replace", &json!(null));
    let code = replaced.json()["code"].as_str().expect("a code").to_owned();
    // Issued twice, revoked, replaced.
    await_copy(&board.services, "board", 4);
    assert_eq!(board.put(&[("voter-code", &code)], "a").status, 202);
    board.services.settle();
    let url = format!("{}/v1/polls/board/codes", board.services.operator);
    let numbers = get(&url, &[("authorization", &bearer)]).json();
    assert_eq!(
        numbers,
        json!({"issued": 1_502, "revoked": 1, "replaced": 1, "used": 1})
    );
    assert_eq!(operator("POST", "/9999/revoke", &json!(null)).status, 409);
    // Neither the key nor a code is told elsewhere.
    let audit = format!("{}/v1/audit", board.services.operator);
    let audit = get(&audit, &[("authorization", &bearer)]).body;
    assert!(audit.contains("codes.issued"), "{audit}");
    let stored = get(
        &format!("{}/v1/polls/board", board.services.operator),
        &[("authorization", &bearer)],
    );
    for told in [&audit, &stored.body] {
        assert!(!told.contains("sealed") && !told.contains(&code), "{told}");
    }
}

#[test]
fn sixty_four_clients_with_the_same_codes_count_once_each() {
    let board = Board::start(16);
    let codes: Vec<_> = (0..16).map(|serial| board.code(serial)).collect();
    let (codes, start) = (Arc::new(codes), Arc::new(Barrier::new(64)));
    let url = board.url(BALLOT);
    std::thread::scope(|scope| {
        for client in 0..64_usize {
            let (codes, start, url) = (Arc::clone(&codes), Arc::clone(&start), &url);
            scope.spawn(move || {
                start.wait();
                for step in 0..16 {
                    let code = &codes[(step + client) % 16];
                    let choice = ["a", "b"][(client + step) % 2];
                    let body = json!({ "choices": [choice] }).to_string();
                    let answer = send("PUT", url, &[JSON, ("voter-code", code)], body.as_bytes());
                    assert_eq!(answer.status, 202, "{}", answer.body);
                }
            });
        }
    });
    let counted: u64 = board.services.votes("board").iter().sum();
    assert_eq!(counted, 16);
    // What is cast now is newer than all that.
    for code in codes.iter() {
        assert_eq!(board.put(&[("voter-code", code)], "a").status, 202);
    }
    assert_eq!(board.services.votes("board"), [16, 0]);
}

#[test]
fn a_voter_with_a_cookie_has_another_id_in_each_new_poll_and_one_vote() {
    let services = Services::set_up(|_| Setup {
        vote: |builder| builder.poll_keys(wrap()),
        ..Setup::default()
    });
    let keyed = KeyedPolls::new(services.memory.clone(), Some(wrap()));
    let keyed = keyed.with_pseudonyms(true);
    for id in ["one", "two"] {
        let poll = Poll::builder(id, "Which?")
            .option("a", "A")
            .option("b", "B");
        let poll = poll.build().expect("a poll");
        services.block_on(async { keyed.put_poll(&poll).await.expect("stored") });
    }
    await_copy(&services, "two", 0);
    let url = |poll: &str| format!("{}/v1/polls/{poll}/ballot", services.vote);
    let put = |poll: &str, cookie: &str, choice: &str| {
        let body = json!({"choices": [choice]}).to_string();
        let answer = send(
            "PUT",
            &url(poll),
            &[JSON, ("cookie", cookie)],
            body.as_bytes(),
        );
        assert_eq!(answer.status, 202, "{}", answer.body);
        answer
    };
    let first = put("one", "x=y", "a");
    let cookie = first.cookie();
    let again = put("one", &cookie, "b");
    let other = put("two", &cookie, "b");
    assert_eq!(services.votes("one"), [0, 1]);
    assert_eq!(first.json()["voter"], other.json()["voter"], "the same tag");
    let key = voting_http::ReceiptKey::new(&secret());
    let voter = |answer: &Answer| {
        let receipt = answer.json()["receipt"]
            .as_str()
            .expect("a receipt")
            .to_owned();
        key.open(&receipt).expect("a receipt").voter.to_bytes()
    };
    let (one, two) = (voter(&again), voter(&other));
    assert_eq!(one[..4], two[..4], "the time");
    assert_ne!(one[4..], two[4..]);
    let state = get(
        &format!(
            "{}/v1/receipts/{}",
            services.result,
            again.json()["receipt"].as_str().expect("a receipt")
        ),
        &[],
    );
    assert!(state.body.contains("\"counted\""), "{}", state.body);
}

#[test]
fn a_service_without_the_key_takes_no_votes_under_another_id() {
    let services = Services::start();
    let keyed = KeyedPolls::new(services.memory.clone(), Some(wrap()));
    let keyed = keyed.with_pseudonyms(true);
    let poll = Poll::builder("one", "Which?")
        .option("a", "A")
        .option("b", "B");
    let poll = poll.build().expect("a poll");
    services.block_on(async { keyed.put_poll(&poll).await.expect("stored") });
    await_copy(&services, "one", 0);
    let url = format!("{}/v1/polls/one/ballot", services.vote);
    let refused = send("PUT", &url, &[JSON], br#"{"choices":["a"]}"#);
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert_eq!(services.votes("one"), [0, 0]);
}

#[test]
fn without_the_key_that_was_destroyed_everybody_sees_that_the_poll_is_closed() {
    let board = Board::start(2);
    let code = board.code(1);
    let link = board.url(&format!("/polls/board/c/{code}"));
    let cookie = get(&link, &[BROWSER]).cookie();
    assert_eq!(board.put(&[("cookie", &cookie)], "a").status, 202);
    board.services.settle();
    let id = "board".parse().expect("an id");
    let done = PollState::Final(Seals::default());
    let change = |to| {
        let change = PollChange::new("board".parse().expect("an id"), to);
        let changed = board
            .services
            .block_on(board.memory.change_poll(&change, "test"));
        changed.expect("changed").expect("the poll")
    };
    board
        .services
        .block_on(board.memory.advance_poll(&id, &done))
        .expect("final");
    let forgotten = change(ChangeTo::VotersForgotten);
    assert_eq!(forgotten.wrapped_key(), None);
    await_copy(&board.services, "board", forgotten.revision());
    for cookies in [cookie.as_str(), "", "code-x=y"] {
        let page = get(&board.url("/polls/board"), &[BROWSER, ("cookie", cookies)]);
        assert_eq!(page.status, 200, "{cookies}: {}", page.body);
        assert!(page.body.contains("This poll is closed"), "{}", page.body);
        assert!(page.body.contains("voters of this poll are forgotten"));
        assert!(!page.body.contains("You vote with a code"));
        let cast = board.put(&[("cookie", cookies)], "b");
        assert_eq!(
            (cast.status.as_u16(), kind(&cast).as_str()),
            (409, "poll-closed")
        );
    }
    let by_header = board.put(&[("voter-code", &code)], "b");
    assert_eq!(kind(&by_header), "poll-closed", "{}", by_header.body);
    let link = get(&link, &[BROWSER]);
    assert_eq!((link.status.as_u16(), link.cookie()), (303, String::new()));
    let eligible = board.url("/v1/polls/board/eligibility");
    let eligible = get(&eligible, &[("voter-code", &code)]);
    assert!(eligible.body.contains(":poll-closed"), "{}", eligible.body);
}
