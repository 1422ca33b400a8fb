//! Polls whose voters sign in: one person, one counted ballot.

mod support;

use std::{
    error::Error,
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use data_encoding::BASE64URL_NOPAD;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use serde_json::{Value, json};
use support::{Answer, BROWSER, JSON, Services, Setup, get, secret, send};
use voting_core::{
    Poll, PollStore,
    model::{
        poll::{PollSettings, Voters},
        poll_key::PollKeyWrap,
    },
    pipeline::poll_keys::KeyedPolls,
};
use voting_http::{KeySource, Logins, ProxyLogins, TokenLogins, VoteServiceBuilder, async_trait};
use voting_testing::await_that;

const ISSUER: &str = "https://id.test/realms/club";
const AUDIENCE: &str = "voting";

/// An identity provider: two keys, and the set that it publishes.
struct Provider {
    ed25519: Ed25519KeyPair,
    p256: EcdsaKeyPair,
    random: SystemRandom,
}

static PROVIDER: LazyLock<Provider> = LazyLock::new(|| {
    let random = SystemRandom::new();
    let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let p256 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
    Provider {
        ed25519: Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).expect("a key"),
        p256: EcdsaKeyPair::from_pkcs8(algorithm, p256.as_ref(), &random).expect("a key"),
        random,
    }
});

fn encoded(value: &Value) -> String {
    BASE64URL_NOPAD.encode(value.to_string().as_bytes())
}

fn point(bytes: &[u8]) -> [String; 2] {
    // 4, then the two coordinates.
    [&bytes[1..33], &bytes[33..]].map(|part| BASE64URL_NOPAD.encode(part))
}

impl Provider {
    fn keys(&self) -> String {
        let [x, y] = point(self.p256.public_key().as_ref());
        let ed25519 = BASE64URL_NOPAD.encode(self.ed25519.public_key().as_ref());
        json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "ed", "x": ed25519},
            {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "ec", "x": x, "y": y},
            {"kty": "oct", "kid": "secret", "k": ed25519},
            {"kty": "RSA", "use": "enc", "kid": "enc", "n": x, "e": "AQAB"},
            {"kty": "new", "kid": "of a later time"},
        ]})
        .to_string()
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let bytes = message.as_bytes();
        let signature = match header["kid"].as_str() {
            Some("ec") => self
                .p256
                .sign(&self.random, bytes)
                .expect("signed")
                .as_ref()
                .to_vec(),
            _ => self.ed25519.sign(bytes).as_ref().to_vec(),
        };
        format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
    }

    /// A good token.
    fn token(&self, person: &str, more: &Value) -> String {
        self.sign(&ed(), &claims(person, more))
    }
}

fn ed() -> Value {
    json!({"alg": "EdDSA", "kid": "ed", "typ": "JWT"})
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a time").as_secs()
}

fn claims(person: &str, more: &Value) -> Value {
    let mut claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": person, "exp": now() + 300});
    for (name, value) in more.as_object().expect("claims") {
        match value {
            Value::Null => drop(claims.as_object_mut().expect("claims").remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

struct Published;

#[async_trait]
impl KeySource for Published {
    async fn fetch(&self) -> Result<String, Box<dyn Error + Send + Sync>> {
        Ok(PROVIDER.keys())
    }
}

fn tokens() -> Logins {
    let tokens = TokenLogins::new(ISSUER, AUDIENCE, Published);
    let tokens = tokens.groups_in("realm_access.roles");
    Logins::default()
        .with_tokens(tokens)
        .sign_in_at("https://id.test/login")
}

fn by_proxy(builder: VoteServiceBuilder, proxies: &str) -> VoteServiceBuilder {
    let proxies = proxies.parse().expect("proxies");
    let proxy = ProxyLogins::new(proxies, "X-Forwarded-User")
        .groups_in("X-Forwarded-Groups")
        .email_in("X-Forwarded-Email");
    let logins = Logins::default().with_proxy(&proxy).expect("headers");
    builder.poll_keys(wrap()).logins(logins)
}

fn wrap() -> PollKeyWrap {
    PollKeyWrap::new(&secret())
}

fn start(vote: fn(VoteServiceBuilder) -> VoteServiceBuilder) -> Services {
    let services = Services::set_up(|_| Setup {
        vote,
        ..Setup::default()
    });
    let keyed = KeyedPolls::new(services.memory.clone(), Some(wrap()));
    let lists: [(&str, &[&str], &[&str]); 4] = [
        ("club", &[], &[]),
        ("other", &[], &[]),
        ("board", &["board"], &[]),
        ("firm", &[], &["example.org"]),
    ];
    for (id, groups, domains) in lists {
        let mut settings = PollSettings::default();
        settings.voters = Voters::Identity;
        settings.groups = groups.iter().map(|&group| group.to_owned()).collect();
        settings.email_domains = domains.iter().map(|&domain| domain.to_owned()).collect();
        let poll = Poll::builder(id, "Who?")
            .option("a", "Anna")
            .option("b", "Ben");
        let poll = poll.settings(settings).build().expect("a poll");
        services.block_on(async { keyed.put_poll(&poll).await.expect("stored") });
    }
    await_that("the vote service knows the polls", || {
        get(&format!("{}/v1/polls/firm", services.vote), &[]).status == 200
    });
    services
}

fn with_tokens() -> Services {
    start(|builder| builder.poll_keys(wrap()).logins(tokens()))
}

fn session(services: &Services, poll: &str, token: &str) -> Answer {
    let url = format!("{}/v1/session", services.vote);
    let bearer = format!("Bearer {token}");
    let body = json!({ "poll": poll }).to_string();
    send(
        "POST",
        &url,
        &[("authorization", &bearer), JSON],
        body.as_bytes(),
    )
}

fn cast(services: &Services, poll: &str, choice: &str, headers: &[(&str, &str)]) -> Answer {
    let url = format!("{}/v1/polls/{poll}/ballot", services.vote);
    let body = json!({"choices": [choice]}).to_string();
    let headers: Vec<_> = headers.iter().copied().chain([JSON]).collect();
    send("PUT", &url, &headers, body.as_bytes())
}

fn problem(answer: &Answer) -> (u16, String) {
    let json = answer.json();
    let kind = json["type"].as_str().unwrap_or_default();
    let kind = kind.trim_start_matches("urn:voting:problem:");
    (answer.status.as_u16(), kind.to_owned())
}

fn is(status: u16, kind: &str) -> (u16, String) {
    (status, kind.to_owned())
}

#[test]
fn a_person_counts_once_whatever_the_device_and_the_key() {
    let services = with_tokens();
    let opened = session(&services, "club", &PROVIDER.token("anna", &json!({})));
    assert_eq!(opened.status, 200, "{}", opened.body);
    let first = opened.cookie();
    assert!(!first.contains("anna"));
    assert_eq!(
        cast(&services, "club", "a", &[("cookie", &first)]).status,
        202
    );
    assert_eq!(services.votes("club"), [1, 0]);

    // By the other algorithm, with another name of the same person.
    let header = json!({"alg": "ES256", "kid": "ec"});
    let token = PROVIDER.sign(
        &header,
        &claims("anna", &json!({"email": "new@example.org"})),
    );
    let opened = session(&services, "club", &token);
    assert_eq!(opened.status, 200, "{}", opened.body);
    let second = opened.cookie();
    assert_eq!(
        cast(&services, "club", "b", &[("cookie", &second)]).status,
        202
    );
    assert_eq!(services.votes("club"), [0, 1]);

    // Another person is another voter.
    let ben = session(&services, "club", &PROVIDER.token("ben", &json!({}))).cookie();
    assert_eq!(
        cast(&services, "club", "b", &[("cookie", &ben)]).status,
        202
    );
    assert_eq!(services.votes("club"), [0, 2]);

    // No session opens another poll, whatever its name.
    let (_, value) = first.split_once('=').expect("a value");
    let own = session(&services, "other", &PROVIDER.token("anna", &json!({}))).cookie();
    let (name, _) = own.split_once('=').expect("a name");
    for cookie in [first.clone(), format!("{name}={value}"), String::new()] {
        let refused = cast(&services, "other", "a", &[("cookie", &cookie)]);
        assert_eq!(problem(&refused), is(401, "sign-in-needed"), "{cookie}");
        assert_eq!(refused.header("set-cookie"), "");
    }
    assert_eq!(services.votes("other"), [0, 0]);
}

#[test]
fn a_forged_token_of_whatever_kind_opens_no_session() {
    let services = with_tokens();
    let good = claims("anna", &json!({}));
    let of = |more: Value| PROVIDER.token("anna", &more);
    let token = of(json!({}));
    let parts: Vec<_> = token.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else {
        panic!("{token}");
    };
    let other = encoded(&claims("ben", &json!({})));
    let with_header = |header: Value| PROVIDER.sign(&header, &good);
    let stranger = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
    let stranger = Ed25519KeyPair::from_pkcs8(stranger.as_ref()).expect("a key");
    let theirs = BASE64URL_NOPAD.encode(stranger.public_key().as_ref());
    let brought = json!({"alg": "EdDSA", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": theirs}});
    let message = format!("{}.{}", encoded(&brought), encoded(&good));
    let brought = BASE64URL_NOPAD.encode(stranger.sign(message.as_bytes()).as_ref());
    let unsigned = encoded(&json!({"alg": "none"}));
    let secret = encoded(&json!({"alg": "HS256", "kid": "secret"}));
    let forged = [
        format!("{unsigned}.{payload}."),
        format!("{unsigned}.{payload}.{signature}"),
        format!("{secret}.{payload}.{signature}"),
        format!("{header}.{other}.{signature}"),
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        format!("{header}.{payload}.{signature}.{signature}"),
        format!("{message}.{brought}"),
        with_header(json!({"alg": "RS256", "kid": "ed"})),
        with_header(json!({"alg": "ES256", "kid": "ed"})),
        with_header(json!({"alg": "EdDSA", "kid": "ec"})),
        with_header(json!({"alg": "EdDSA", "kid": "enc"})),
        with_header(json!({"alg": "EdDSA", "kid": "unknown"})),
        with_header(json!({"alg": "EdDSA", "kid": 7})),
        with_header(json!({"alg": "EdDSA", "kid": "ed", "crit": ["exp"]})),
        of(json!({"iss": "https://id.test/realms/other"})),
        of(json!({"iss": null})),
        of(json!({"aud": "another"})),
        of(json!({"aud": null})),
        of(json!({"exp": now() - 120})),
        of(json!({"exp": null})),
        of(json!({"exp": "never"})),
        of(json!({"nbf": now() + 120})),
        of(json!({"nbf": "later"})),
        of(json!({"sub": null})),
        of(json!({"sub": ""})),
        of(json!({"sub": 7})),
        of(json!({"sub": "x".repeat(256)})),
        "x".to_owned(),
    ];
    // Not so many that they are refused for their number.
    for tokens in forged.chunks(5) {
        let services = with_tokens();
        for token in tokens {
            let refused = session(&services, "club", token);
            assert_eq!(problem(&refused), is(401, "invalid-token"), "{token}");
            assert!(!refused.body.contains("anna"));
            assert_eq!(refused.header("set-cookie"), "");
        }
    }
    let long = of(json!({"padding": "x".repeat(20_000)}));
    let long = session(&services, "club", &long);
    assert_eq!(problem(&long), is(400, "request"));
    // What is allowed: several audiences, a clock that is a little behind.
    let behind = of(json!({"aud": ["another", AUDIENCE], "exp": now() - 30, "nbf": now() + 30}));
    assert_eq!(session(&services, "club", &behind).status, 200);
}

#[test]
fn wrong_tokens_are_slowed_down_and_right_ones_are_not() {
    let services = with_tokens();
    await_that("there is a limit", || {
        let refused = problem(&session(&services, "club", "x.y.z"));
        refused == is(429, "too-many-tokens")
    });
    let right = session(&services, "club", &PROVIDER.token("anna", &json!({})));
    assert_eq!(right.status, 200);
    let open = session(&services, "cats-vs-dogs", "x");
    assert_eq!(problem(&open), is(422, "invalid"));
}

#[test]
fn a_poll_is_for_a_group_or_an_email_domain() {
    let services = with_tokens();
    let asked = |poll: &str, more: Value| {
        let answer = session(&services, poll, &PROVIDER.token("anna", &more));
        match answer.status.as_u16() {
            200 => "opened".to_owned(),
            _ => problem(&answer).1,
        }
    };
    let roles = |roles: &[&str]| json!({"realm_access": {"roles": roles}});
    assert_eq!(asked("board", roles(&["staff", "board"])), "opened");
    assert_eq!(asked("board", roles(&["staff"])), "not-eligible");
    assert_eq!(asked("board", json!({"groups": ["board"]})), "not-eligible");
    let email = |verified: Value| json!({"email": "A@Example.org", "email_verified": verified});
    assert_eq!(asked("firm", email(json!(true))), "opened");
    assert_eq!(asked("firm", email(json!("true"))), "opened");
    assert_eq!(asked("firm", email(json!(false))), "not-eligible");
    assert_eq!(
        asked("firm", json!({"email": "A@example.org"})),
        "not-eligible"
    );
}

#[test]
fn the_page_asks_to_sign_in_and_a_session_can_be_ended() {
    let services = with_tokens();
    let page = format!("{}/polls/club", services.vote);
    let asks = get(&page, &[BROWSER]);
    assert_eq!(asks.status, 200);
    assert!(
        asks.body.contains(r#"href="https://id.test/login""#),
        "{}",
        asks.body
    );
    assert!(!asks.body.contains(r#"id="ballot""#));
    assert_eq!(asks.header("set-cookie"), "");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let refused = send("POST", &page, &[BROWSER, form], b"vote=a");
    assert_eq!(refused.status, 401);

    let session = session(&services, "club", &PROVIDER.token("anna", &json!({})));
    let tag = session.json()["voter"].as_str().expect("a tag").to_owned();
    let cookie = session.cookie();
    let ballot = get(&page, &[BROWSER, ("cookie", &cookie)]);
    assert!(
        ballot.body.contains("Sign out on this device"),
        "{}",
        ballot.body
    );
    assert!(ballot.body.contains(&tag));
    let state = format!("{}/v1/polls/club/eligibility", services.vote);
    assert_eq!(get(&state, &[("cookie", &cookie)]).json()["eligible"], true);
    let nobody = get(&state, &[]).json();
    assert_eq!(nobody["reason"], "urn:voting:problem:sign-in-needed");

    // A click on a page that was made for another person does not count.
    let body = format!("vote=a&voter={tag}");
    let ben = self::session(&services, "club", &PROVIDER.token("ben", &json!({}))).cookie();
    let other = send("POST", &page, &[form, ("cookie", &ben)], body.as_bytes());
    assert_eq!(problem(&other), is(409, "voter-changed"));
    let sent = send(
        "POST",
        &page,
        &[BROWSER, form, ("cookie", &cookie)],
        body.as_bytes(),
    );
    assert_eq!(sent.status, 303);
    assert_eq!(services.votes("club"), [1, 0]);

    let out = send("POST", &format!("{page}/sign-out"), &[BROWSER, form], b"");
    assert_eq!(out.status, 303);
    let dropped = out.header("set-cookie");
    let name = cookie.split('=').next().expect("a name");
    assert!(dropped.starts_with(&format!("{name}=;")) && dropped.contains("Max-Age=0"));
}

#[test]
fn a_named_proxy_says_who_votes_and_nobody_else_does() {
    let services = start(|builder| by_proxy(builder, "127.0.0.1"));
    let user = |name| ("x-forwarded-user", name);
    for (name, choice) in [("anna", "a"), ("ben", "b"), ("anna", "b")] {
        assert_eq!(cast(&services, "club", choice, &[user(name)]).status, 202);
    }
    assert_eq!(services.votes("club"), [0, 2]);
    let sign_in = is(401, "sign-in-needed");
    for headers in [
        &[][..],
        &[user("")],
        &[user("anna"), user("ben")],
        &[user("anna"), user("anna")],
    ] {
        let refused = cast(&services, "club", "a", headers);
        assert_eq!(problem(&refused), sign_in, "{headers:?}");
    }
    let groups = |groups| ("x-forwarded-groups", groups);
    let email = |email| ("x-forwarded-email", email);
    let refused = is(403, "not-eligible");
    let cast_in = |poll: &str, more| cast(&services, poll, "a", &[user("anna"), more]);
    assert_eq!(cast_in("board", groups("staff, board")).status, 202);
    assert_eq!(problem(&cast_in("board", groups("staff,boards"))), refused);
    assert_eq!(cast_in("firm", email("anna@example.org")).status, 202);
    assert_eq!(
        problem(&cast_in("firm", email("anna@example.com"))),
        refused
    );
    let page = get(
        &format!("{}/polls/board", services.vote),
        &[BROWSER, user("anna")],
    );
    assert_eq!(page.status, 403);
    assert!(
        page.body.contains("this poll is for other people"),
        "{}",
        page.body
    );

    let elsewhere = start(|builder| by_proxy(builder, "10.0.0.1"));
    let refused = cast(&elsewhere, "club", "a", &[user("anna")]);
    assert_eq!(problem(&refused), sign_in);
    let more = [user("anna"), ("x-forwarded-for", "10.0.0.1")];
    assert_eq!(problem(&cast(&elsewhere, "club", "a", &more)), sign_in);
}

#[test]
fn without_keys_of_the_provider_nobody_is_let_in_and_the_answer_says_so() {
    struct Away;
    #[async_trait]
    impl KeySource for Away {
        async fn fetch(&self) -> Result<String, Box<dyn Error + Send + Sync>> {
            Err("it does not answer".into())
        }
    }
    let services = start(|builder| {
        let tokens = TokenLogins::new(ISSUER, AUDIENCE, Away);
        let logins = Logins::default().with_tokens(tokens);
        builder
            .poll_keys(wrap())
            .logins(logins.session(Duration::from_secs(60)))
    });
    let away = session(&services, "club", &PROVIDER.token("anna", &json!({})));
    assert_eq!(problem(&away), is(503, "store-unavailable"));
}
