//! Who may see and do what on the host's pages.

mod support;

use std::sync::Arc;

use support::{BROWSER, FORM, OPERATOR_TOKEN, Services, get, host_browser::Browser, send};
use voting_core::{
    SecretKey, Worker, WorkerOptions,
    backends::memory::Memory,
    model::{
        moment::Moment,
        poll::{PollSettings, ShowResults},
    },
    store::{
        TokenStore,
        tokens::{NamedToken, Role, TokenHash},
    },
};
use voting_http::OperatorService;

/// A token in the page on which it is shown.
fn shown_token(page: &str) -> &str {
    let (_, rest) = page.split_once("readonly value=\"vt-").expect("a token");
    let (token, _) = rest.split_once('"').expect("its end");
    token
}

const ROLES: [(char, Role); 4] = [
    ('H', Role::Host),
    ('A', Role::Auditor),
    ('C', Role::Caster),
    ('O', Role::Operator),
];

/// Stores a token, and returns it.
fn add(services: &Services, name: &str, role: Role) -> String {
    let token = format!("the token of {name}");
    let named = NamedToken {
        name: name.parse().expect("a name"),
        role,
        hash: TokenHash::of(&token),
        created_at: Moment::now(),
    };
    let added = services.memory.add_token(&named, "operator");
    assert!(services.block_on(added).expect("stored"));
    token
}

fn revoke(services: &Services, name: &str) {
    let name = name.parse().expect("a name");
    let revoked = services.memory.revoke_token(&name, "operator");
    assert!(services.block_on(revoked).expect("stored"));
}

/// The patterns of the pages.
fn pages() -> Vec<String> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _inside = runtime.enter();
    let memory = Memory::default();
    let (all, queue) = (Arc::new(memory.clone()), Arc::new(memory.queue()));
    let worker = Worker::new(
        queue.clone(),
        all.clone(),
        all.clone(),
        WorkerOptions::default(),
    );
    let token = SecretKey::new(OPERATOR_TOKEN).expect("long enough");
    let service = OperatorService::builder(worker.start(), queue, all, &token).build();
    let mut pages = service.routes();
    // What is no page of a host.
    let other = [
        "/assets",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/docs/",
        "/healthz",
        "/readyz",
    ];
    pages.retain(|path| !path.starts_with("/v1/") && !other.contains(&path.as_str()));
    pages
}

/// The roles that may do this, in short: H, A and O; `None` if the page is for everybody. A new page must be added here.
fn roles(method: &str, page: &str) -> Option<&'static str> {
    Some(match (method, page) {
        ("GET", "/" | "/polls" | "/polls/:poll" | "/polls/:poll/preview") => "HAO",
        ("GET" | "POST", "/polls/new" | "/polls/:poll/edit") => "HO",
        ("GET" | "POST", "/polls/:poll/close" | "/polls/:poll/delete") => "HO",
        ("GET" | "POST", "/polls/:poll/forget-voters") => "HO",
        ("POST", "/polls/:poll/publish" | "/polls/:poll/open" | "/polls/:poll/archive") => "HO",
        ("POST", "/polls/:poll/recount") | ("GET", "/audit" | "/audit.csv") => "AO",
        ("GET", "/polls/:poll/export") => "HAO",
        ("GET", "/polls/:poll/export/tally.csv" | "/polls/:poll/export/tally.json") => "HAO",
        ("GET", "/polls/:poll/export/ballots.csv" | "/polls/:poll/export/ballots.json") => "HAO",
        ("GET", "/polls/:poll/codes") => "HO",
        ("POST", "/polls/:poll/codes/issue" | "/polls/:poll/codes/change") => "HO",
        ("GET", "/polls/:poll/voidings") => "HAO",
        ("POST", "/polls/:poll/voidings" | "/polls/:poll/voidings/:number/undo") => "O",
        ("GET", "/dead-letters" | "/people") => "O",
        ("POST", "/people" | "/people/:name/revoke") => "O",
        ("POST", "/dead-letters/:position/replay") => "O",
        ("GET" | "POST", "/webhooks" | "/webhooks/:webhook") => "HO",
        ("POST", page) if page.starts_with("/webhooks/:webhook/") => "HO",
        ("GET" | "POST", "/sign-in") | ("POST", "/sign-out") => return None,
        // Not there unless a provider is set: oidc.rs.
        ("GET", "/sign-in/start" | "/sign-in/back") => return None,
        other => panic!("who may use {other:?}?"),
    })
}

#[test]
fn each_page_is_for_the_roles_that_are_known_here() {
    let mut browser = Browser::new(Services::start());
    let tokens =
        ROLES.map(|(short, role)| (short, add(&browser.services, &format!("{role}-1"), role)));
    let cookies = tokens.map(|(short, token)| {
        browser.sign_in_with(&token);
        (short, std::mem::take(&mut browser.cookie))
    });
    let (mut seen, pages) = (0, pages());
    for (method, page) in pages
        .iter()
        .flat_map(|page| [("GET", page), ("POST", page)])
    {
        // Nothing is there, so that nothing is changed.
        let url = page
            .replace(":poll", "nowhere")
            .replace(":name", "nobody")
            .replace(":webhook", "00000000-0000-7000-8000-000000000000")
            .replace(":delivery", "00000000-0000-7000-8000-000000000000")
            .replace(":number", "1")
            .replace(":position", "0-1-0-0");
        let url = format!("{}{url}", browser.services.operator);
        let ask = |cookie: &str| match method {
            "GET" => get(&url, &[BROWSER, ("cookie", cookie)]),
            _ => send(method, &url, &[BROWSER, FORM, ("cookie", cookie)], b""),
        };
        let nobody = ask("");
        if nobody.status == 405 {
            continue;
        }
        seen += 1;
        let Some(allowed) = roles(method, page) else {
            continue;
        };
        match method {
            "GET" => assert!(nobody.header("location").starts_with("/sign-in"), "{page}"),
            _ => assert_eq!(nobody.status, 401, "{page}: {}", nobody.body),
        }
        for (short, cookie) in &cookies {
            let answer = ask(cookie);
            let is_refused = answer.status == 403;
            let told = format!(
                "{method} {page} as {short}: {} {}",
                answer.status, answer.body
            );
            assert_eq!(is_refused, !allowed.contains(*short), "{told}");
            assert!(answer.status != 401 && answer.status != 303, "{told}");
            if is_refused {
                assert!(answer.body.contains("a token needs the role"), "{told}");
                assert!(answer.body.contains("Sign in with another token"), "{told}");
            }
        }
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn the_name_and_the_role_are_shown_with_the_pages_of_this_role() {
    let mut browser = Browser::new(Services::start());
    for (_, role) in ROLES {
        add(&browser.services, &format!("{role}-1"), role);
    }
    for (role, has, has_not) in [
        (
            Role::Host,
            &["/polls/new\""][..],
            &["/audit\"", "/dead-letters\""][..],
        ),
        (
            Role::Auditor,
            &["/audit\""],
            &["/polls/new\"", "/dead-letters\""],
        ),
        (
            Role::Operator,
            &["/polls/new\"", "/audit\"", "/dead-letters\""],
            &[],
        ),
    ] {
        browser.sign_in_with(&format!("the token of {role}-1"));
        let page = browser.get("/").body;
        assert!(page.contains(&format!("<b>{role}-1</b>")), "{page}");
        assert!(
            page.contains(&format!("<span class=\"role\">{role}</span>")),
            "{page}"
        );
        for (links, is_there) in [(has, true), (has_not, false)] {
            for link in links {
                assert_eq!(page.contains(link), is_there, "{link} for {role}: {page}");
            }
        }
        let page = browser.get("/polls/many").body;
        assert_eq!(page.contains("/polls/many/close"), role != Role::Auditor);
    }
}

#[test]
fn a_revoked_token_is_signed_out_at_its_next_request() {
    let mut browser = Browser::new(Services::start());
    let token = add(&browser.services, "anna", Role::Host);
    browser.sign_in_with(&token);
    assert_eq!(browser.get("/").status, 200);
    revoke(&browser.services, "anna");
    // Another process revokes it, of which this one hears within a second.
    let over = voting_testing::await_some("the session is over", || {
        let answer = browser.get("/polls/many");
        (answer.status == 303).then_some(answer)
    });
    assert_eq!(
        over.header("location"),
        "/sign-in?ended=1&next=%2Fpolls%2Fmany"
    );
    assert!(over.header("set-cookie").contains("Max-Age=0"));
    let page = browser.get("/sign-in?ended=1");
    assert_eq!(page.status, 200, "who is signed out is asked for a token");
    assert!(
        page.body.contains("your token was revoked"),
        "{}",
        page.body
    );
    // A form is not done, and is not lost.
    let asked = browser.post("/polls/many/close", &[("confirm", "many")]);
    assert_eq!(asked.status, 401);
    assert!(asked.body.contains(r#"name="confirm" value="many""#));
    assert!(asked.body.contains("You are no longer signed in."));
    let token = [("sign_in_token", token.as_str())];
    assert_eq!(browser.post("/sign-in", &token).status, 401);
}

#[test]
fn a_role_that_was_taken_away_holds_no_longer() {
    let mut browser = Browser::new(Services::start());
    let token = add(&browser.services, "anna", Role::Operator);
    browser.sign_in_with(&token);
    assert_eq!(browser.get("/dead-letters").status, 200);
    revoke(&browser.services, "anna");
    add(&browser.services, "anna", Role::Host);
    let refused = voting_testing::await_some("the role is looked up again", || {
        let answer = browser.get("/dead-letters");
        (answer.status == 403).then_some(answer)
    });
    assert!(
        refused.body.contains("has the role host"),
        "{}",
        refused.body
    );
}

#[test]
fn an_auditor_sees_no_result_that_is_hidden_from_auditors() {
    let mut browser = Browser::signed_in();
    let hide = |set: &mut PollSettings| set.results = ShowResults::AfterClose;
    browser.poll("hidden", hide, false);
    let vote = format!("{}/polls/hidden", browser.services.vote);
    send("POST", &vote, &[FORM], b"vote=a");
    browser.services.settle();
    // A bar of the plot that shows when voters came is as high as its place.
    let page = |browser: &Browser| {
        let page = browser.get("/polls/hidden").body;
        page.replace("height=\"100%\"", "")
    };
    let of_host = page(&browser);
    assert!(of_host.contains("100%"), "{of_host}");
    let token = add(&browser.services, "ada", Role::Auditor);
    browser.sign_in_with(&token);
    let of_auditor = page(&browser);
    assert!(of_auditor.contains("1 voter"), "{of_auditor}");
    assert!(
        !of_auditor.contains("100%") && !of_auditor.contains("1 vote<"),
        "{of_auditor}"
    );
    assert!(
        !of_auditor.contains("/polls/hidden/recount"),
        "{of_auditor}"
    );
    assert!(!of_auditor.contains("/export"), "{of_auditor}");
    let export = browser.get("/polls/hidden/export/tally.csv");
    assert_eq!(export.status, 403);
    assert!(!export.body.contains("Cats,1"), "{}", export.body);
    let recount = browser.post("/polls/hidden/recount", &[]);
    assert_eq!(recount.status, 403);
    assert!(!recount.body.contains("<td>1</td>"), "{}", recount.body);
    browser.sign_in();
    browser.post("/polls/hidden/close", &[("confirm", "hidden")]);
    browser.sign_in_with(&token);
    voting_testing::await_some("the result is shown", || {
        page(&browser).contains("100%").then_some(())
    });
    assert_eq!(browser.post("/polls/hidden/recount", &[]).status, 200);
}

#[test]
fn a_token_is_made_shown_once_and_revoked() {
    let mut browser = Browser::signed_in();
    let page = browser.get("/people").body;
    assert!(page.contains("Nobody has a token yet"), "{page}");
    let new = [("name", " Anna "), ("role", "host")];
    let made = browser.post("/people", &new);
    assert_eq!(made.status, 200, "{}", made.body);
    assert_eq!(made.header("cache-control"), "no-store");
    assert!(
        made.body.contains("The token of anna is made."),
        "{}",
        made.body
    );
    let token = format!("vt-{}", shown_token(&made.body));
    let page = browser.get("/people").body;
    assert!(
        page.contains("<b>anna</b>") && !page.contains(&token),
        "{page}"
    );

    let url = format!("{}/", browser.services.operator);
    let sign_in = [("sign_in_token", token.as_str())];
    // In another browser.
    let mine = std::mem::take(&mut browser.cookie);
    let cookie = browser.post("/sign-in", &sign_in).cookie();
    browser.cookie = mine;
    let of_anna = || get(&url, &[BROWSER, ("cookie", &cookie)]);
    assert!(of_anna().body.contains("<b>anna</b>"));
    let revoked = browser.post("/people/anna/revoke", &[]);
    assert_eq!(revoked.header("location"), "/people?done=revoked");
    assert_eq!(of_anna().header("location"), "/sign-in?ended=1", "at once");
    assert!(
        browser
            .get("/people?done=revoked")
            .body
            .contains("The token is revoked.")
    );
    assert_eq!(browser.post("/people/anna/revoke", &[]).status, 404);
    let log = browser.get("/audit").body;
    assert!(!log.contains(&token), "{log}");
}

#[test]
fn a_token_that_cannot_be_made_is_told_and_the_form_stays() {
    let browser = Browser::signed_in();
    add(&browser.services, "anna", Role::Host);
    for (name, role, status, text) in [
        (
            "anna",
            "host",
            409,
            "There is a token &#34;anna&#34; already",
        ),
        ("operator", "host", 422, "choose another name"),
        ("A B", "auditor", 422, "a-z"),
        ("bert", "king", 422, "Choose a role."),
    ] {
        let refused = browser.post("/people", &[("name", name), ("role", role)]);
        assert_eq!(refused.status, status, "{name}: {}", refused.body);
        assert!(refused.body.contains(text), "{text} in {}", refused.body);
        assert!(
            refused
                .body
                .contains(&format!("value=\"{}\"", name.to_lowercase()))
        );
    }
    let refused = browser.post("/people", &[("name", "A B"), ("role", "auditor")]);
    assert!(refused.body.contains(r#"value="auditor" checked"#));
}
