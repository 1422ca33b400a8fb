//! Hosts who sign in at an identity provider, also at one that goes wrong.

mod support;

use std::{collections::BTreeMap, error::Error, time::Duration};

use serde_json::{Value, json};
use support::{Answer, BROWSER, FORM, OPERATOR_TOKEN, Services, Setup, get, send};
use ureq::Agent;
use voting_core::store::{AuditLog, tokens::Role};
use voting_http::{HostLogins, ProviderClient, async_trait};
use voting_testing::oidc::{
    CLIENT_ID, CLIENT_SECRET, IdentityProvider, Signing, Wrong, with_claims,
};

/// The address of the host's pages, for the provider.
const PUBLIC: &str = "http://hosts.test";

/// Asks the provider, without waiting for long.
struct Requests(Agent);

impl Requests {
    fn new() -> Self {
        let agent = Agent::config_builder()
            .timeout_global(Some(Duration::from_millis(500)))
            .max_redirects(0)
            .http_status_as_error(false)
            .build()
            .new_agent();
        Self(agent)
    }
}

#[async_trait]
impl ProviderClient for Requests {
    async fn get(&self, url: &str) -> Result<String, Box<dyn Error + Send + Sync>> {
        let asked = self.0.get(url);
        let answer = tokio::task::spawn_blocking(move || {
            let mut answer = asked.call()?;
            let text = answer.body_mut().read_to_string()?;
            Ok::<_, ureq::Error>((answer.status(), text))
        });
        let (status, text) = answer.await??;
        match status.as_u16() {
            200 => Ok(text),
            status => Err(format!("it answered {status}").into()),
        }
    }

    async fn post(
        &self,
        url: &str,
        authorization: Option<&str>,
        form: String,
    ) -> Result<(u16, String), Box<dyn Error + Send + Sync>> {
        let mut request = self.0.post(url).content_type(FORM.1);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let answer = tokio::task::spawn_blocking(move || {
            let mut answer = request.send(form)?;
            let text = answer.body_mut().read_to_string()?;
            Ok::<_, ureq::Error>((answer.status().as_u16(), text))
        });
        Ok(answer.await??)
    }
}

/// A deployment with a provider, and a browser.
struct Visitor {
    services: Services,
    provider: IdentityProvider,
    cookies: BTreeMap<String, String>,
}

fn visitor_with(secret: &str) -> Visitor {
    let provider = IdentityProvider::start("127.0.0.1");
    provider.leads_back_to(&format!("{PUBLIC}/sign-in/back"));
    let roles = |roles: Value| json!({"realm": {"roles": roles}, "preferred_username": "anna"});
    provider.add("anna", roles(json!(["staff", "voting-hosts"])));
    provider.add("olga", roles(json!(["voting-hosts", "voting-operators"])));
    provider.add("nora", json!({"preferred_username": "nora"}));
    let public_url = PUBLIC.parse().expect("an address");
    let logins = HostLogins::new(
        &provider.issuer,
        CLIENT_ID,
        secret,
        public_url,
        Requests::new(),
    );
    let logins = logins
        .roles_in("realm.roles")
        .role("voting-hosts", Role::Host)
        .role("voting-operators", Role::Operator);
    let services = Services::set_up(|_| Setup {
        host_logins: Some(logins),
        ..Setup::default()
    });
    Visitor {
        services,
        provider,
        cookies: BTreeMap::new(),
    }
}

fn visitor() -> Visitor {
    visitor_with(CLIENT_SECRET)
}

impl Visitor {
    fn cookie(&self) -> String {
        let all = self.cookies.iter();
        let all = all.map(|(name, value)| format!("{name}={value}"));
        all.collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, answer: &Answer) {
        for set in answer.headers.get_all("set-cookie") {
            let set = set.to_str().expect("a text");
            let (cookie, rest) = set.split_once(';').expect("attributes");
            let (name, value) = cookie.split_once('=').expect("a value");
            match rest.contains("Max-Age=0") {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
    }

    fn get(&mut self, path: &str) -> Answer {
        let url = format!("{}{path}", self.services.operator);
        let answer = get(&url, &[BROWSER, ("cookie", &self.cookie())]);
        self.keep(&answer);
        answer
    }

    fn post(&mut self, path: &str) -> Answer {
        let url = format!("{}{path}", self.services.operator);
        let headers = [BROWSER, FORM, ("cookie", &*self.cookie())];
        let answer = send("POST", &url, &headers, b"");
        self.keep(&answer);
        answer
    }

    /// The page of the provider to which the browser is led.
    fn start(&mut self) -> String {
        let answer = self.get("/sign-in/start");
        assert_eq!(answer.status, 303, "{}", answer.body);
        answer.header("location").to_owned()
    }

    /// The path to which the provider sends the browser back.
    fn at_provider(&self, page: &str, person: &str) -> String {
        let back = self.provider.sign_in(page, person).expect("signed in");
        back.strip_prefix(PUBLIC).expect("our address").to_owned()
    }

    /// What comes of signing in as somebody.
    fn sign_in(&mut self, person: &str) -> Answer {
        let page = self.start();
        let back = self.at_provider(&page, person);
        self.get(&back)
    }

    fn is_signed_in(&mut self) -> bool {
        self.get("/").status == 200
    }
}

#[test]
fn who_signs_in_at_the_provider_has_the_role_of_the_claim_until_the_end() {
    let mut visitor = visitor();
    let host = visitor.provider.issuer.replace("http://", "");
    let page = visitor.get("/sign-in?next=/polls/many").body;
    let link = r#"href="/sign-in/start?next=%2Fpolls%2Fmany">"#;
    assert!(
        page.contains(link) && page.contains(&format!("Sign in with {host}")),
        "{page}"
    );
    assert!(page.contains(r#"name="sign_in_token""#), "{page}");

    let answer = visitor.get("/sign-in/start?next=/polls/many");
    let cookie = answer.header("set-cookie").to_owned();
    for part in [
        "host-login=",
        "; HttpOnly",
        "; SameSite=Lax",
        "; Max-Age=600",
    ] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    let back = visitor.at_provider(answer.header("location"), "anna");
    let answer = visitor.get(&back);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(
        answer.body.contains(r#"content="0;url=/polls/many""#),
        "{}",
        answer.body
    );
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert!(!visitor.cookies.contains_key("host-login"));
    let page = visitor.get("/polls/many").body;
    let name = "login:sub-of-anna (anna)";
    assert!(
        page.contains(&format!("<b>{name}</b> <span class=\"role\">host")),
        "{page}"
    );
    // The first role of the person does not count for other pages.
    let refused = visitor.get("/people");
    assert_eq!(refused.status, 403);
    assert!(
        refused.body.contains("You have the role host."),
        "{}",
        refused.body
    );

    let copy = visitor.cookies.clone();
    let answer = visitor.post("/sign-out");
    assert_eq!(answer.header("location"), "/sign-in?done=signed-out-here");
    visitor.cookies = copy;
    assert!(!visitor.is_signed_in());
    let log = visitor.services.memory.audit_log(0, 100);
    let log = visitor.services.block_on(log).expect("the log");
    let notes = log.iter().map(|entry| &entry.note);
    let notes = notes.filter(|note| note.action.starts_with("session."));
    let notes = notes.map(|note| (&*note.by, &*note.action));
    let expected = [(name, "session.began"), (name, "session.ended")];
    assert_eq!(notes.collect::<Vec<_>>(), expected);

    // Of several roles the one with most rights.
    visitor.sign_in("olga");
    assert_eq!(visitor.get("/people").status, 200);
}

#[test]
fn who_has_no_role_is_not_let_in() {
    let mut visitor = visitor();
    let answer = visitor.sign_in("nora");
    assert_eq!(answer.status, 403);
    assert!(
        answer.body.contains("you have no role here"),
        "{}",
        answer.body
    );
    for groups in [
        json!(null),
        json!([]),
        json!(["voting-host"]),
        json!({"voting-hosts": 1}),
    ] {
        visitor
            .provider
            .goes(with_claims(json!({"realm": {"roles": groups}})));
        assert_eq!(visitor.sign_in("anna").status, 403, "{groups}");
        assert!(!visitor.is_signed_in());
    }
}

fn answering(change: fn(&mut Vec<(String, String)>)) -> Wrong {
    Wrong {
        answer: Box::new(change),
        ..Wrong::default()
    }
}

fn signed(signing: Signing) -> Wrong {
    Wrong {
        signing,
        ..Wrong::default()
    }
}

fn set(answer: &mut [(String, String)], name: &str, to: &str) {
    let field = answer.iter_mut().find(|(known, _)| known == name);
    to.clone_into(&mut field.expect("a field").1);
}

#[test]
fn no_wrong_answer_signs_anybody_in() {
    let mut visitor = visitor();
    let issuer = visitor.provider.issuer.clone();
    let tokens = "has sent is not valid";
    let other = "not from the identity provider of this system";
    let cases: Vec<(&str, Wrong, &str)> = vec![
        (
            "another nonce",
            with_claims(json!({"nonce": "x".repeat(43)})),
            tokens,
        ),
        ("no nonce", with_claims(json!({"nonce": null})), tokens),
        (
            "another issuer",
            with_claims(json!({"iss": "https://evil.test"})),
            tokens,
        ),
        (
            "an issuer with a slash",
            with_claims(json!({"iss": format!("{issuer}/")})),
            tokens,
        ),
        (
            "another audience",
            with_claims(json!({"aud": "others"})),
            tokens,
        ),
        (
            "several audiences",
            with_claims(json!({"aud": [CLIENT_ID, "others"]})),
            tokens,
        ),
        (
            "made for another",
            with_claims(json!({"azp": "others"})),
            tokens,
        ),
        ("over", with_claims(json!({"exp": 1_700_000_000})), tokens),
        ("without end", with_claims(json!({"exp": null})), tokens),
        (
            "not yet",
            with_claims(json!({"nbf": 9_900_000_000_u64})),
            tokens,
        ),
        ("nobody", with_claims(json!({"sub": null})), tokens),
        (
            "a line in the name",
            with_claims(json!({"sub": "a\nb"})),
            tokens,
        ),
        ("not signed", signed(Signing::None), tokens),
        ("signed with the public key", signed(Signing::Hs256), tokens),
        ("signed by a stranger", signed(Signing::Stranger), tokens),
        (
            "another state",
            answering(|answer| set(answer, "state", &"x".repeat(43))),
            "begun in another browser",
        ),
        (
            "no state",
            answering(|answer| answer.retain(|(name, _)| name != "state")),
            "begun in another browser",
        ),
        (
            "mixed up with another provider",
            answering(|answer| set(answer, "iss", "https://evil.test")),
            other,
        ),
        (
            "an answer that does not name its issuer",
            answering(|answer| answer.retain(|(name, _)| name != "iss")),
            other,
        ),
        (
            "two codes",
            answering(|answer| answer.push(("code".to_owned(), "x".to_owned()))),
            other,
        ),
        (
            "no code",
            answering(|answer| answer.retain(|(name, _)| name != "code")),
            other,
        ),
        (
            "an error",
            answering(|answer| answer.push(("error".to_owned(), "access_denied".to_owned()))),
            "has not signed you in",
        ),
        (
            "a made-up code",
            answering(|answer| set(answer, "code", "made-up")),
            "does not accept this sign-in",
        ),
    ];
    let mut let_in = Vec::new();
    for (name, wrong, told) in cases {
        visitor.provider.goes(wrong);
        let answer = visitor.sign_in("anna");
        if visitor.is_signed_in() {
            let_in.push(name);
            visitor.cookies.clear();
            continue;
        }
        // There are more of them than an address may have at once.
        if answer.status != 429 {
            assert_eq!(answer.status, 401, "{name}: {}", answer.body);
            assert!(answer.body.contains(told), "{name}: {}", answer.body);
        }
        assert!(visitor.cookies.is_empty(), "{name}");
    }
    assert_eq!(let_in, Vec::<&str>::new());
    visitor.provider.goes(Wrong::default());
    assert_eq!(visitor.sign_in("anna").status, 200);
    assert!(visitor.is_signed_in());
}

#[test]
fn an_answer_is_for_one_try_of_one_browser_and_once() {
    let mut visitor = visitor();
    let page = visitor.start();
    let begun = visitor.cookies.clone();
    let back = visitor.at_provider(&page, "anna");
    // Another browser.
    visitor.cookies.clear();
    assert_eq!(visitor.get(&back).status, 401);
    // A browser that has begun a try of its own.
    visitor.start();
    assert_eq!(visitor.get(&back).status, 401);
    // Its state, with the code of somebody else: the code needs the verifier of its own try.
    let page = visitor.start();
    let mine = visitor.at_provider(&page, "olga");
    let field = |path: &str, name: &str| {
        let (_, query) = path.split_once('?').expect("a query");
        let mut fields = form_urlencoded::parse(query.as_bytes());
        let found = fields.find(|(known, _)| known == name);
        found.expect("a field").1.into_owned()
    };
    let injected = mine.replace(&field(&mine, "code"), &field(&back, "code"));
    assert_eq!(visitor.get(&injected).status, 401);
    assert_eq!(visitor.provider.refused(), ["invalid_grant: PKCE"]);

    visitor.cookies.clear();
    let page = visitor.start();
    let begun_again = visitor.cookies.clone();
    let back = visitor.at_provider(&page, "anna");
    assert_eq!(visitor.get(&back).status, 200);
    // The same once more, from a copy of the cookies.
    visitor.cookies = begun_again;
    let again = visitor.get(&back);
    assert_eq!(again.status, 401);
    assert!(
        again.body.contains("does not accept this sign-in"),
        "{}",
        again.body
    );
    assert_eq!(visitor.provider.refused(), ["invalid_grant: used"]);
    // A cookie that was changed.
    visitor.cookies = begun;
    for value in visitor.cookies.values_mut() {
        value.push('x');
    }
    assert_eq!(visitor.get(&back).status, 401);
    assert!(!visitor.is_signed_in());
}

#[test]
fn the_provider_knows_the_client_by_its_secret() {
    let mut visitor = visitor_with("another secret");
    assert_eq!(visitor.sign_in("anna").status, 401);
    assert_eq!(visitor.provider.refused(), ["invalid_client"]);
}

#[test]
fn no_other_site_signs_anybody_in() {
    let mut visitor = visitor();
    let url = format!("{}/sign-in/start", visitor.services.operator);
    for from in ["cross-site", "same-site"] {
        let answer = get(&url, &[BROWSER, ("sec-fetch-site", from)]);
        assert_eq!(answer.header("location"), "/sign-in");
        assert_eq!(answer.header("set-cookie"), "");
    }
    for next in ["//evil.test/", "https://evil.test", "/\\evil.test"] {
        let start = format!("/sign-in/start?next={next}");
        let page = visitor.get(&start).header("location").to_owned();
        let back = visitor.at_provider(&page, "anna");
        let page = visitor.get(&back).body;
        assert!(page.contains(r#"content="0;url=/""#), "{next}: {page}");
    }
}

#[test]
fn while_the_provider_is_away_or_slow_a_token_signs_in() {
    let slow = || Wrong {
        pause: Duration::from_secs(2),
        ..Wrong::default()
    };
    let down = || Wrong {
        status: Some(503),
        ..Wrong::default()
    };
    for (name, wrong) in [("slow", slow as fn() -> Wrong), ("down", down)] {
        let mut visitor = visitor();
        // Before the first answer of the provider, and between the two steps.
        visitor.provider.goes(wrong());
        let answer = visitor.get("/sign-in/start");
        assert_eq!(answer.status, 503, "{name}");
        assert!(
            answer.body.contains("cannot be reached now"),
            "{}",
            answer.body
        );
        assert_ne!(answer.header("retry-after"), "");
        let url = format!("{}/sign-in", visitor.services.operator);
        let form = format!("sign_in_token={OPERATOR_TOKEN}");
        assert_eq!(
            send("POST", &url, &[BROWSER, FORM], form.as_bytes()).status,
            303
        );

        let mut visitor = self::visitor();
        let page = visitor.start();
        let back = visitor.at_provider(&page, "anna");
        visitor.provider.goes(wrong());
        let answer = visitor.get(&back);
        assert_eq!(answer.status, 503, "{name}: {}", answer.body);
        assert!(!visitor.is_signed_in());
        visitor.provider.goes(Wrong::default());
        assert_eq!(visitor.sign_in("anna").status, 200, "{name}");
    }
}

#[test]
fn without_a_provider_its_addresses_are_not_there() {
    let services = Services::start();
    for path in ["/sign-in/start", "/sign-in/back?code=x&state=y"] {
        let answer = get(&format!("{}{path}", services.operator), &[BROWSER]);
        assert_eq!(answer.status, 404, "{path}");
    }
    let page = get(&format!("{}/sign-in", services.operator), &[BROWSER]).body;
    assert!(!page.contains("Sign in with"), "{page}");
}

#[test]
fn what_was_typed_is_sent_once_somebody_has_signed_in_in_another_tab() {
    let mut visitor = visitor();
    let url = format!("{}/polls/many/close", visitor.services.operator);
    let asked = send("POST", &url, &[BROWSER, FORM], b"confirm=many");
    assert_eq!(asked.status, 401);
    for part in [
        r#"href="/sign-in/start" target="_blank""#,
        "I am signed in: go on",
        r#"action="/polls/many/close""#,
    ] {
        assert!(asked.body.contains(part), "{part} in {}", asked.body);
    }
    assert_eq!(
        asked.body.matches(r#"name="confirm" value="many""#).count(),
        2
    );
    visitor.sign_in("anna");
    let cookie = visitor.cookie();
    let headers = [BROWSER, FORM, ("cookie", &*cookie)];
    let done = send("POST", &url, &headers, b"confirm=many");
    assert_eq!(done.header("location"), "/polls/many?done=closed");
}
