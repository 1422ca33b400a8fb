//! One voter is one voter: what cannot be read is never taken for what is not there.

mod support;

use std::{collections::BTreeMap, io::Write, sync::Arc, time::SystemTime};

use data_encoding::BASE64URL_NOPAD;
use support::{
    Answer, BROWSER, FORM, JSON, Services, Setup, connect, get, head, read_to_end, send,
};
use voting_core::SecretKey;
use voting_http::{PublicUrl, ReceiptKey, Site};
use voting_testing::await_some;

const BALLOT: &str = "/v1/polls/cats-vs-dogs/ballot";

fn other_secret() -> SecretKey {
    SecretKey::new([8; 32]).expect("long enough")
}

/// A browser's cookies, of one host.
#[derive(Default)]
struct Jar(BTreeMap<String, String>);

impl Jar {
    fn of(cookie: &str) -> Self {
        let mut jar = Self::default();
        jar.set(cookie);
        jar
    }

    fn set(&mut self, cookie: &str) {
        let (name, value) = cookie.split_once('=').expect("a cookie");
        self.0.insert(name.to_owned(), value.to_owned());
    }

    fn header(&self) -> String {
        let cookies = self.0.iter().map(|(name, value)| format!("{name}={value}"));
        cookies.collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, answer: Answer) -> Answer {
        if !answer.header("set-cookie").is_empty() {
            self.set(&answer.cookie());
        }
        answer
    }

    fn page(&mut self, url: &str) -> Answer {
        let answer = get(url, &[BROWSER, ("cookie", &self.header())]);
        self.keep(answer)
    }

    fn vote(&mut self, url: &str) -> Answer {
        let headers = [FORM, BROWSER, ("cookie", &self.header())];
        let answer = send("POST", url, &headers, b"vote=a");
        self.keep(answer)
    }

    fn put(&mut self, url: &str) -> Answer {
        let headers = [JSON, ("cookie", &self.header())];
        let answer = send(
            "PUT",
            &(url.to_owned() + BALLOT),
            &headers,
            br#"{"choices":["a"]}"#,
        );
        self.keep(answer)
    }
}

/// A valid cookie's value.
fn issued(services: &Services) -> String {
    let cookie = get(&services.vote, &[BROWSER]).cookie();
    cookie.split_once('=').expect("a cookie").1.to_owned()
}

/// Cookies of which nobody can say who the voter is.
fn unreadable(services: &Services) -> Vec<String> {
    let valid = issued(services);
    let mut cookies = vec![
        "voter=x".to_owned(),
        "voter".to_owned(),
        "voter=".to_owned(),
        "a=b; voter=x".to_owned(),
    ];
    for value in ["x", "", "\"x\"", &valid[1..], &format!("{valid}A"), "%00"] {
        cookies.push(format!("voter-721edc={value}"));
    }
    // An older name does not stand in for a current one that is damaged.
    cookies.push(format!("voter={valid}; voter-721edc=x"));
    cookies
}

#[test]
fn a_cookie_that_cannot_be_read_is_reported_and_not_replaced_whatever_is_asked() {
    let services = Services::start();
    let url = services.vote.clone();
    for cookie in unreadable(&services) {
        let cookie = ("cookie", cookie.as_str());
        for page in [
            get(&url, &[cookie]),
            get(&format!("{url}/polls/many"), &[BROWSER, cookie]),
        ] {
            assert_eq!(page.status, 400, "{cookie:?}");
            assert!(
                page.body.contains("Your voter cookie cannot be read"),
                "{}",
                page.body
            );
            assert!(
                page.body.contains(r#"action="/start-over""#),
                "{}",
                page.body
            );
            assert!(!page.body.contains("vote=\"a\""), "{}", page.body);
            assert_eq!(page.header("set-cookie"), "");
        }
        let looked = head(&url, &[cookie]);
        assert_eq!(
            (looked.status.as_u16(), looked.header("set-cookie")),
            (400, "")
        );
        let form = send("POST", &url, &[FORM, BROWSER, cookie], b"vote=a");
        assert_eq!((form.status.as_u16(), form.header("set-cookie")), (400, ""));
        assert!(
            form.body.contains("Your vote was not counted."),
            "{}",
            form.body
        );
        for refused in [
            send("POST", &url, &[FORM, cookie], b"vote=a"),
            send(
                "PUT",
                &(url.clone() + BALLOT),
                &[JSON, cookie],
                br#"{"choices":["a"]}"#,
            ),
        ] {
            assert_eq!(refused.status, 400, "{cookie:?}");
            let kind = "urn:voting:problem:invalid-voter-cookie";
            assert_eq!(refused.json()["type"], kind);
            assert_eq!(refused.header("set-cookie"), "");
        }
        // What needs no voter is not refused, and does not replace it either.
        for path in ["/v1/polls", "/healthz", "/docs", "/assets/voting.css"] {
            let answer = get(&format!("{url}{path}"), &[cookie]);
            assert_eq!(
                (answer.status.as_u16(), answer.header("set-cookie")),
                (200, "")
            );
        }
    }
    assert_eq!(services.votes("cats-vs-dogs"), [0, 0]);
    let metrics = get(&format!("{url}/metrics"), &[]).body;
    let counted = format!(
        "voting_casts_total{{outcome=\"unidentified\"}} {}",
        3 * unreadable(&services).len()
    );
    assert!(metrics.contains(&counted), "{metrics}");
}

#[test]
fn whoever_asks_to_start_over_is_a_new_voter_from_then_on() {
    let services = Services::start();
    let url = services.vote.clone();
    for cookie in ["voter=x", "voter-721edc=x"] {
        let mut jar = Jar::of(cookie);
        let start_over = format!("{url}/start-over");
        let headers = [FORM, BROWSER, ("cookie", &jar.header())];
        let answer = send("POST", &start_over, &headers, b"poll=many");
        let answer = jar.keep(answer);
        assert_eq!(answer.status, 303);
        assert_eq!(answer.header("location"), "/polls/many");
        assert!(answer.header("set-cookie").starts_with("voter-721edc="));
        let before = jar.header();
        // A second click makes no further voter.
        let headers = [FORM, BROWSER, ("cookie", before.as_str())];
        let again = send("POST", &start_over, &headers, b"poll=..%2f..%2fevil");
        assert_eq!(
            (again.status.as_u16(), again.header("set-cookie")),
            (303, "")
        );
        assert_eq!(again.header("location"), "/");
        assert_eq!(jar.page(&url).status, 200);
        for _ in 0..2 {
            assert_eq!(jar.vote(&url).status, 200);
            assert_eq!(jar.put(&url).status, 202);
        }
        assert_eq!(jar.header(), before);
    }
    assert_eq!(services.votes("cats-vs-dogs"), [2, 0]);
    let cross = ("sec-fetch-site", "cross-site");
    let headers = [FORM, cross, ("cookie", "voter=x")];
    let refused = send("POST", &format!("{url}/start-over"), &headers, b"");
    assert_eq!(
        (refused.status.as_u16(), refused.header("set-cookie")),
        (403, "")
    );
}

#[test]
fn different_voter_cookies_of_one_name_are_refused_and_the_same_one_twice_is_not() {
    let services = Services::start();
    let url = services.vote.clone();
    let (one, two) = (issued(&services), issued(&services));
    for (first, second) in [(&one, &two), (&two, &one), (&one, &"x".to_owned())] {
        let cookie = format!("voter-721edc={first}; a=b; voter-721edc={second}");
        let mut jar = vec![FORM, ("cookie", cookie.as_str())];
        let refused = send("POST", &url, &jar, b"vote=a");
        assert_eq!(refused.status, 400);
        let kind = "urn:voting:problem:several-voter-cookies";
        assert_eq!(refused.json()["type"], kind);
        jar.push(BROWSER);
        let page = get(&url, &jar);
        assert_eq!((page.status.as_u16(), page.header("set-cookie")), (400, ""));
        assert!(page.body.contains("Delete the cookies"), "{}", page.body);
        // A new one would be one more.
        assert!(!page.body.contains("<form"), "{}", page.body);
        let asked = send("POST", &format!("{url}/start-over"), &jar, b"");
        assert_eq!(asked.header("set-cookie"), "");
    }
    let twice = format!("voter-721edc={one}; voter-721edc={one}");
    let answer = send("POST", &url, &[FORM, ("cookie", &twice)], b"vote=a");
    assert_eq!(answer.status, 200);
    assert_eq!(services.votes("cats-vs-dogs"), [1, 0]);
}

#[test]
fn cookies_of_others_are_not_in_the_way_be_they_text_or_not() {
    let services = Services::start();
    let value = issued(&services);
    for _ in 0..2 {
        let mut stream = connect(&services.vote);
        let mut request =
            b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: name=J\xfcrgen; \
            voter-721edc="
                .to_vec();
        request.extend(value.as_bytes());
        request.extend(
            b"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 6\r\n\r\nvote=a",
        );
        stream.write_all(&request).expect("sent");
        let answer = read_to_end(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(!answer.to_lowercase().contains("set-cookie"), "{answer}");
    }
    assert_eq!(services.votes("cats-vs-dogs"), [1, 0]);
}

#[test]
fn systems_that_share_a_host_leave_each_others_voters_alone() {
    let one = Services::start();
    let two = Services::set_up(|_| Setup {
        secret: other_secret(),
        ..Setup::default()
    });
    let mut jar = Jar::default();
    for _ in 0..2 {
        for services in [&one, &two] {
            assert_eq!(jar.page(&services.vote).status, 200);
            assert_eq!(jar.vote(&services.vote).status, 200);
            assert_eq!(jar.put(&services.vote).status, 202);
        }
    }
    assert_eq!(jar.0.len(), 2);
    assert_eq!(one.votes("cats-vs-dogs"), [1, 0]);
    assert_eq!(two.votes("cats-vs-dogs"), [1, 0]);
}

/// The services as they were, at another address.
fn moved(services: &Services, https: bool) -> Services {
    let (sink, all) = (services.sink(), Arc::new(services.memory.clone()));
    let public_url: Option<PublicUrl> =
        https.then(|| "https://vote.example.org".parse().expect("a URL"));
    Services::set_up(|_| Setup {
        site: Site::default().with_public_url(public_url),
        sink: Some(sink),
        directory: Some(all),
        ..Setup::default()
    })
}

#[test]
fn an_older_cookie_is_taken_over_and_given_anew_to_the_same_voter() {
    let plain = Services::start();
    let https = moved(&plain, true);
    let value = issued(&plain);
    for (services, cookie, current) in [
        (&plain, "voter", "voter-721edc"),
        (&plain, "__Host-voter-721edc", "voter-721edc"),
        (&https, "voter", "__Host-voter-721edc"),
        (&https, "voter-721edc", "__Host-voter-721edc"),
        (&https, "__Host-voter", "__Host-voter-721edc"),
    ] {
        let mut jar = Jar::of(&format!("{cookie}={value}"));
        let page = jar.page(&services.vote);
        assert_eq!(page.status, 200, "{cookie}");
        assert_eq!(page.cookie(), format!("{current}={value}"), "{cookie}");
        assert_eq!(jar.vote(&services.vote).header("set-cookie"), "");
        let cast = Jar::of(&format!("{cookie}={value}")).put(&services.vote);
        assert_eq!(cast.status, 202);
        assert_eq!(cast.cookie(), format!("{current}={value}"), "{cookie}");
    }
    assert_eq!(plain.votes("cats-vs-dogs"), [1, 0]);
}

#[test]
fn a_move_to_https_in_mid_poll_and_back_is_one_voter() {
    let plain = Services::start();
    let https = moved(&plain, true);
    let mut jar = Jar::default();
    for services in [&plain, &https, &plain, &https] {
        jar.page(&services.vote);
        assert_eq!(jar.vote(&services.vote).status, 200);
    }
    assert_eq!(plain.votes("cats-vs-dogs"), [1, 0]);
}

#[test]
fn a_service_with_another_secret_takes_no_ballots_and_says_so() {
    let ours = Services::start();
    let (sink, all) = (ours.sink(), Arc::new(ours.memory.clone()));
    // Held to ours from its first ballot on.
    assert_eq!(send("POST", &ours.vote, &[FORM], b"vote=b").status, 200);
    let foreign = Services::set_up(|_| Setup {
        sink: Some(sink),
        directory: Some(all),
        secret: other_secret(),
        ..Setup::default()
    });
    let mut jar = Jar::default();
    for _ in 0..3 {
        jar.page(&ours.vote);
        assert_eq!(jar.vote(&ours.vote).status, 200);
        jar.page(&foreign.vote);
        let refused = jar.vote(&foreign.vote);
        assert_eq!(refused.status, 503);
        assert!(
            refused.body.contains("Your vote was not counted."),
            "{}",
            refused.body
        );
        let refused = jar.put(&foreign.vote);
        assert_eq!(refused.status, 503);
        assert_eq!(refused.json()["type"], "urn:voting:problem:foreign-secret");
    }
    assert_eq!(ours.votes("cats-vs-dogs"), [1, 1]);
    let ready = get(&format!("{}/readyz", foreign.vote), &[]);
    assert_eq!(ready.status, 503);
    assert!(
        ready
            .body
            .contains("under a secret that this service does not have"),
        "{}",
        ready.body
    );
    assert_eq!(get(&format!("{}/readyz", ours.vote), &[]).status, 200);
    let metrics = get(&format!("{}/metrics", foreign.vote), &[]).body;
    for line in [
        "voting_casts_total{outcome=\"foreign-secret\"} 6",
        "voting_foreign_secret 1",
        "voting_ready 0",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let metrics = get(&format!("{}/metrics", ours.vote), &[]).body;
    assert!(metrics.contains("voting_foreign_secret 0"), "{metrics}");
}

#[test]
fn a_path_that_is_not_text_names_nothing() {
    let services = Services::start();
    let names = [
        "%ff",
        "caf%E9",
        "cats-vs-dogs%ff",
        "%25ff",
        "%2563ats-vs-dogs",
        "%00",
        "cats-vs-dogs%00",
        "%2f",
        "%2F%2f",
        "..%2f",
        "",
        "%20",
        "cats-vs-dogs%20",
        "none",
        "%C3%28",
    ];
    for name in names {
        for url in [&services.vote, &services.result] {
            for headers in [&[] as &[_], &[BROWSER]] {
                // Without a name it is the list, here as below.
                let status = if name.is_empty() { 200 } else { 404 };
                let page = get(&format!("{url}/polls/{name}"), headers);
                assert_eq!(page.status, status, "{url} {name}");
                assert!(!page.body.contains("parse"), "{}", page.body);
            }
        }
        let form = send(
            "POST",
            &format!("{}/polls/{name}", services.vote),
            &[FORM],
            b"vote=b",
        );
        let status = if name.is_empty() { 405 } else { 404 };
        assert_eq!(form.status, status, "{name}");
        let put = format!("{}/v1/polls/{name}/ballot", services.vote);
        assert_eq!(
            send("PUT", &put, &[JSON], br#"{"choices":["a"]}"#).status,
            404,
            "{name}"
        );
        let token = format!("Bearer {}", support::OPERATOR_TOKEN);
        let operator = [("authorization", token.as_str())];
        for action in ["recount", "close"] {
            let url = format!("{}/v1/polls/{name}/{action}", services.operator);
            assert_eq!(send("POST", &url, &operator, b"").status, 404, "{url}");
        }
        for url in [
            format!("{}/v1/polls/{name}", services.vote),
            format!("{}/v1/polls/{name}/tally", services.result),
            format!("{}/v1/polls/{name}/tally/events", services.result),
        ] {
            if !(name.is_empty() && url.ends_with("/polls/")) {
                assert_eq!(get(&url, &[]).status, 404, "{url}");
            }
        }
    }
    for url in [
        format!("{}/v1/receipts/%ff", services.result),
        format!("{}/assets/%ff", services.vote),
        format!("{}/%ff", services.vote),
        format!("{}/%ff", services.result),
    ] {
        assert_eq!(get(&url, &[]).status, 404, "{url}");
    }
    assert_eq!(services.votes("cats-vs-dogs"), [0, 0]);
    assert_eq!(services.votes("many"), [0, 0, 0, 0]);
}

#[test]
fn a_poll_is_found_with_a_slash_behind_it_and_by_its_name_in_capitals() {
    let services = Services::start();
    let slash = format!("{}/polls/cats-vs-dogs/", services.vote);
    assert_eq!(get(&slash, &[BROWSER]).status, 200);
    assert_eq!(send("POST", &slash, &[FORM], b"vote=b").status, 200);
    assert_eq!(services.votes("cats-vs-dogs"), [0, 1]);
    assert_eq!(
        get(&format!("{}/polls/many/", services.result), &[]).status,
        200
    );
    for url in [&services.vote, &services.result] {
        let lists = ["/polls", "/polls/", "/polls/?page=1"]
            .map(|path| get(&format!("{url}{path}"), &[BROWSER]));
        for list in &lists {
            assert_eq!((list.status.as_u16(), &list.body), (200, &lists[0].body));
        }
        let page = get(&format!("{url}/polls/Cats-vs-DOGS?a=b"), &[]);
        assert_eq!(page.status, 308);
        assert_eq!(page.header("location"), "/polls/cats-vs-dogs?a=b");
        let page = get(&format!("{url}/polls/Nobody"), &[]);
        assert_eq!(page.status, 404);
    }
    // A vote is never sent elsewhere: it is not counted, and its voter is told where to.
    let capitals = format!("{}/polls/Many", services.vote);
    let refused = send("POST", &capitals, &[FORM], b"vote=b");
    assert_eq!(refused.status, 404);
    let detail = refused.json()["detail"].as_str().map(str::to_owned);
    assert!(
        detail.is_some_and(|detail| detail.contains("many")),
        "{}",
        refused.body
    );
    assert_eq!(services.votes("many"), [0, 0, 0, 0]);
}

#[test]
fn a_log_that_changes_hands_is_seen_within_about_a_second() {
    let first = Services::start();
    let second = Services::set_up(|_| Setup {
        secret: other_secret(),
        ..Setup::default()
    });
    // Each has a log of its own; then both write to one.
    assert_eq!(send("POST", &first.vote, &[FORM], b"vote=a").status, 200);
    assert_eq!(send("POST", &second.vote, &[FORM], b"vote=a").status, 200);
    let sink = Arc::new(support::Exchanged::of(&first));
    let front = Services::set_up(|_| Setup {
        sink: Some(sink.clone()),
        ..Setup::default()
    });
    assert_eq!(send("POST", &front.vote, &[FORM], b"vote=a").status, 200);
    sink.exchange(&second);
    await_some("it takes no more", || {
        let answer = send("POST", &front.vote, &[FORM], b"vote=a");
        (answer.status == 503).then_some(())
    });
    sink.exchange(&first);
    await_some("it takes them again", || {
        let answer = send("POST", &front.vote, &[FORM], b"vote=a");
        (answer.status == 200).then_some(())
    });
}

/// The receipt of a new voter's ballot, with that voter's id.
fn cast(services: &Services) -> (String, [u8; 16]) {
    let url = services.vote.clone() + BALLOT;
    let cast = send("PUT", &url, &[JSON], br#"{"choices":["a"]}"#);
    assert_eq!(cast.status, 202);
    let cookie = cast.cookie();
    let token = cookie.split_once('=').expect("a value").1.as_bytes();
    let token = BASE64URL_NOPAD.decode(token).expect("base64url");
    let receipt = cast.json()["receipt"]
        .as_str()
        .expect("a receipt")
        .to_owned();
    (receipt, token[..16].try_into().expect("an id"))
}

#[test]
fn a_receipt_shows_neither_the_voter_nor_the_moment() {
    let services = Services::start();
    let (receipt, voter) = cast(&services);
    let bytes = receipt.split_once('.').expect("a version").1;
    let bytes = BASE64URL_NOPAD.decode(bytes.as_bytes()).expect("base64url");
    let has = |part: &[u8]| bytes.windows(part.len()).any(|there| there == part);
    assert!(!has(&voter[..4]) && !has(&voter[12..]), "{receipt}");
    assert!(!has(b"cats"), "{receipt}");
    services.settle();
    let told = get(&format!("{}/v1/receipts/{receipt}", services.result), &[]).json();
    assert_eq!(told["state"], "counted");
    let at = told["cast_at_ms"].as_u64().expect("a time");
    assert_eq!(at % 60_000, 0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = u64::try_from(now.expect("after 1970").as_millis()).expect("a time");
    assert!(at <= now && now < at + 120_000, "{at} {now}");
}

#[test]
fn a_receipt_that_was_signed_and_not_sealed_is_still_known() {
    let services = Services::start();
    let (receipt, voter) = cast(&services);
    let receipt = ReceiptKey::new(&support::secret())
        .open(&receipt)
        .expect("own");
    let mut signed = voter.to_vec();
    signed.extend(receipt.position.shard().0.to_be_bytes());
    signed.extend(receipt.position.ms().to_be_bytes());
    signed.extend(receipt.position.n().to_be_bytes());
    signed.extend(b"cats-vs-dogs");
    let tag = support::secret().derive("receipt 1").tag(&signed);
    signed.extend(tag);
    let signed = BASE64URL_NOPAD.encode(&signed);
    services.settle();
    let url = |receipt: &str| format!("{}/v1/receipts/{receipt}", services.result);
    assert_eq!(get(&url(&signed), &[]).json()["state"], "counted");
    let stranger = ReceiptKey::new(&other_secret()).seal(&receipt);
    let unknown = get(&url(&stranger), &[]);
    assert_eq!(unknown.status, 404);
    assert!(unknown.body.contains("another secret"), "{}", unknown.body);
}
