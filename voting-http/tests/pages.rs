//! What all pages have in common, over HTTP: their size, the lists of polls, and what links to them show.

mod support;

use std::io::{Read, Write};

use flate2::read::GzDecoder;
use support::{BROWSER, FORM, JSON, Services, Setup, connect, get, poll, send};
use voting_core::{Poll, PollId, PollState, PollStore, model::poll::PollSettings};
use voting_http::{Site, Theme};

/// What a browser sends.
const GZIP: &str = "gzip, deflate, br";

struct Raw {
    head: String,
    body: Vec<u8>,
}

impl Raw {
    /// What it says, whether it was compressed or not.
    fn text(&self) -> String {
        let mut text = String::new();
        if self.head.contains("content-encoding: br\r") {
            let mut read = Vec::new();
            brotli::BrotliDecompress(&mut self.body.as_slice(), &mut read).expect("Brotli");
            text = String::from_utf8(read).expect("a text");
        } else if self.head.contains("content-encoding: gzip") {
            let read = GzDecoder::new(self.body.as_slice()).read_to_string(&mut text);
            read.expect("gzip of a text");
        } else {
            text = String::from_utf8(self.body.clone()).expect("a text");
        }
        text
    }

    /// All that goes over the wire.
    fn size(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

/// Asks by hand: nothing is decompressed on the way.
fn ask(service: &str, request: &str) -> Raw {
    let mut stream = connect(service);
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let body = answer.split_off(end.expect("a head") + 4);
    let head = String::from_utf8(answer).expect("a head").to_lowercase();
    Raw { head, body }
}

fn fetch(service: &str, path: &str, encodings: &str) -> Raw {
    ask(
        service,
        &format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\nAccept-Encoding: {encodings}\r\n\
             Connection: close\r\n\r\n",
            service.trim_start_matches("http://"),
        ),
    )
}

/// The addresses of what a page loads.
fn assets(page: &str) -> Vec<String> {
    let parts = page.split(['"']);
    let assets = parts.filter(|part| part.contains("/assets/"));
    let mut assets: Vec<_> = assets.map(ToOwned::to_owned).collect();
    assets.sort();
    assets.dedup();
    assets
}

/// With 63 options of some length.
fn large(services: &Services) -> String {
    let labels: Vec<_> = (0..63)
        .map(|index| {
            (
                format!("o{index}"),
                format!("Talk number {index}: {}", TOPICS[index % 9]),
            )
        })
        .collect();
    let options: Vec<_> = labels
        .iter()
        .map(|(id, label)| (id.as_str(), label.as_str()))
        .collect();
    let large = poll("large", &options, 5);
    services
        .block_on(services.memory.put_poll(&large))
        .expect("stored");
    "/polls/large".to_owned()
}

const TOPICS: [&str; 9] = [
    "Postgres as a queue",
    "What a load balancer really does",
    "Typed errors in a large code base",
    "How we moved a database while it was used",
    "Alarms that wake nobody in vain",
    "Reading other people's code",
    "The history of the hash table",
    "Testing what cannot be seen",
    "A compiler in an afternoon",
];

#[test]
fn a_page_with_all_that_it_loads_is_small_also_with_63_options() {
    let services = Services::start();
    let large = large(&services);
    for service in [&services.vote, &services.result] {
        for path in ["/", "/polls/many", &large, "/polls"] {
            let page = fetch(service, path, GZIP);
            assert!(page.head.starts_with("http/1.1 200"), "{}", page.head);
            assert!(page.head.contains("content-encoding: gzip"), "{path}");
            assert!(page.head.contains("vary: accept-encoding"), "{path}");
            let loaded = assets(&page.text());
            assert!(loaded.len() >= 2, "{loaded:?}");
            let sizes = loaded
                .iter()
                .map(|asset| fetch(service, asset, GZIP).size());
            let size = page.size() + sizes.sum::<usize>();
            println!("{service}{path}: {size} bytes");
            // Of these, some 800 bytes are the links to other languages and the words in a file of their own.
            assert!(size < 18_000, "{path}: {size} bytes");
        }
    }
}

#[test]
fn who_cannot_read_gzip_gets_the_same_uncompressed() {
    let services = Services::start();
    for path in ["/", "/polls", "/openapi.json"] {
        let (plain, small) = (
            fetch(&services.result, path, "identity"),
            fetch(&services.result, path, "br, gzip;q=0.5"),
        );
        assert!(!plain.head.contains("content-encoding"), "{}", plain.head);
        assert!(
            plain.head.contains("vary: accept-encoding"),
            "a cache keeps both apart"
        );
        assert!(small.body.len() < plain.body.len() / 2);
        assert_eq!(small.text(), plain.text());
    }
    let page = fetch(&services.vote, "/", "identity").text();
    for asset in assets(&page) {
        let (plain, small, smallest) = (
            fetch(&services.vote, &asset, "gzip;q=0"),
            fetch(&services.vote, &asset, "gzip, deflate"),
            fetch(&services.vote, &asset, GZIP),
        );
        assert!(!plain.head.contains("content-encoding"), "{}", plain.head);
        for (answer, encoding) in [(&small, "gzip"), (&smallest, "br")] {
            let line = format!("content-encoding: {encoding}\r\n");
            assert!(answer.head.contains(&line), "{}", answer.head);
            assert_eq!(answer.text(), plain.text());
        }
        assert!(smallest.body.len() < small.body.len());
        for answer in [&plain, &small, &smallest] {
            assert!(
                answer.head.contains("vary: accept-encoding"),
                "{}",
                answer.head
            );
            assert!(answer.head.contains("immutable"), "{}", answer.head);
        }
    }
}

#[test]
fn neither_streams_nor_answers_to_casts_are_compressed() {
    let services = Services::start();
    let mut stream = connect(&services.result);
    let request = "GET /v1/polls/cats-vs-dogs/tally/events HTTP/1.0\r\nAccept-Encoding: gzip\r\n\
                   Host: test\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("sent");
    let mut begin = [0; 2_000];
    let mut read = 0;
    while !begin[..read].windows(6).any(|part| part == b"data: ") {
        read += stream.read(&mut begin[read..]).expect("an event");
    }
    let begin = String::from_utf8_lossy(&begin[..read]).to_lowercase();
    assert!(!begin.contains("content-encoding"), "{begin}");

    let gzip = ("accept-encoding", "gzip");
    let post = send("POST", &services.vote, &[FORM, gzip], b"vote=a");
    assert_eq!(
        (post.status.as_u16(), post.header("content-encoding")),
        (200, "")
    );
    let ballot = format!("{}/v1/polls/cats-vs-dogs/ballot", services.vote);
    let put = send("PUT", &ballot, &[JSON, gzip], br#"{"choices":["a"]}"#);
    assert_eq!(
        (put.status.as_u16(), put.header("content-encoding")),
        (202, "")
    );
}

/// As many polls, of which every third is closed, beside the two that there are.
fn many(services: &Services, count: usize) {
    for index in 0..count {
        let options = [("a", "A"), ("b", "B")];
        let id = format!("poll-{index:04}");
        let stored = poll(&id, &options, 1).clone();
        services
            .block_on(services.memory.put_poll(&stored))
            .expect("stored");
        if index % 3 == 0 {
            let id: PollId = id.parse().expect("an id");
            let closing = PollState::Closing(Default::default());
            services
                .block_on(services.memory.advance_poll(&id, &closing))
                .expect("closed");
        }
    }
}

#[test]
fn a_page_names_five_open_polls_and_leads_to_a_list_of_all() {
    let services = Services::start();
    many(&services, 100);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    for service in [&services.vote, &services.result] {
        let page = get(service, &[BROWSER]).body;
        let links = page.split("href=\"/polls/").skip(1);
        let links = links.filter_map(|link| link.split('"').next());
        // Others are to the same page in another language, on a screen, and to the receipt of a vote.
        let is_own = |link: &&str| {
            link.contains("?lang=") || link.contains("/present") || link.ends_with("/receipt")
        };
        let links = links.filter(|link| !is_own(link)).count();
        // Its own address is among them, as the canonical one.
        assert_eq!(links, 6, "{page}");
        assert!(
            page.contains("href=\"/polls/poll-0098\""),
            "the newest that is open"
        );
        assert!(!page.contains("href=\"/polls/poll-0099\""), "it is closed");
        assert!(page.contains("href=\"/polls\""), "{page}");

        let mut seen = Vec::new();
        for number in 1..=3 {
            let list = get(&format!("{service}/polls?page={number}"), &[BROWSER]);
            assert_eq!(list.status, 200);
            assert!(list.body.contains(&format!("Page {number} of 3")));
            let links = list.body.split("<li><a href=\"/polls/").skip(1);
            let ids = links.map(|link| link.split('"').next().expect("an id").to_owned());
            let ids: Vec<_> = ids.collect();
            assert_eq!(ids.len(), if number == 3 { 2 } else { 50 });
            assert!(list.body.len() < 40_000, "{}", list.body.len());
            seen.extend(ids);
        }
        // Open ones first, the newest first; each once.
        assert_eq!(seen[..3], ["poll-0098", "poll-0097", "poll-0095"]);
        assert_eq!(seen[68], "poll-0099");
        let mut all = seen.clone();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 102);
        let first = get(&format!("{service}/polls"), &[BROWSER]).body;
        assert!(first.contains("102 polls, 68 of them open."), "{first}");
        let headings = |page: &str| {
            let parts = page.split("<h2>").skip(1);
            let headings = parts.filter_map(|part| part.split("</h2>").next());
            headings.map(ToOwned::to_owned).collect::<Vec<_>>()
        };
        let second = get(&format!("{service}/polls?page=2"), &[BROWSER]).body;
        assert_eq!(headings(&first), ["Open"]);
        assert_eq!(headings(&second), ["Open", "Closed"]);
        let last = get(&format!("{service}/polls?page=3"), &[BROWSER]).body;
        assert!(
            last.contains("Closed") || last.contains("Being counted"),
            "{last}"
        );
        for none in ["0", "4", "x", "-1", "99999999999999999999"] {
            let list = get(&format!("{service}/polls?page={none}"), &[BROWSER]);
            assert_eq!(list.status, 404, "{none}");
        }
    }
}

#[test]
fn polls_are_found_by_words_of_their_title_but_not_if_they_are_not_listed() {
    let services = Services::start();
    let store = |id: &str, title: &str, listed: bool| {
        let poll = Poll::builder(id, title).option("a", "A").option("b", "B");
        let mut settings = PollSettings::default();
        settings.listed = listed;
        let poll = poll.settings(settings).build().expect("valid");
        services
            .block_on(services.memory.put_poll(&poll))
            .expect("stored");
    };
    store("lunch", "What shall we have for Lunch?", true);
    store("secret-lunch", "A lunch that is not listed?", false);
    store("tea", "<b>Tea</b> & lunch?", true);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    for service in [&services.vote, &services.result] {
        let find = |query: &str| get(&format!("{service}/polls?q={query}"), &[BROWSER]);
        let found = find("LUNCH+have").body;
        assert!(found.contains("href=\"/polls/lunch\""), "{found}");
        assert!(found.contains("1 poll has “LUNCH have” in its title."));
        assert!(found.contains("noindex") && found.contains("href=\"/polls\""));
        let both = find("lunch").body;
        assert!(both.contains("2 polls have “lunch” in their titles."));
        assert!(both.contains("&#60;b&#62;Tea") && !both.contains("<b>Tea"));
        for list in [both, find("not+listed").body, find("").body] {
            assert!(!list.contains("secret-lunch"), "{list}");
        }
        let odd = find("%22%3E%3Cscript%3E").body;
        assert!(odd.contains("No poll has “") && !odd.contains("\"><script>"));
        // The links to other languages keep the search, and so do those to other pages.
        assert!(find("a%26b").body.contains("q=a%26b&#38;page=1&lang=de"));
        assert_eq!(find(&"x".repeat(201)).status, 404);
        assert_eq!(
            get(&format!("{service}/polls?q=lunch&page=2"), &[BROWSER]).status,
            404
        );
    }
}

#[test]
fn a_theme_is_on_each_page_and_its_files_are_kept_by_browsers() {
    let services = Services::set_up(|_| {
        let logo = &b"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 80 40'/>"[..];
        let theme = Theme::default().with_name("Chess & Go").expect("a name");
        let theme = theme.with_colour("#6b2fa0").expect("a colour");
        let theme = theme.with_logo(logo).expect("a logo");
        Setup {
            site: Site::default().with_theme(theme),
            ..Setup::default()
        }
    });
    for service in [&services.vote, &services.result] {
        for path in ["/", "/polls", "/polls/none"] {
            let page = fetch(service, path, "identity").text();
            assert!(page.contains(" – Chess &#38; Go</title>"), "{page}");
            assert!(page.contains("class=\"site\" dir=\"auto\">Chess &#38; Go<"));
            assert!(page.contains("width=\"72\" height=\"36\""));
            assert!(!page.contains("favicon.svg"));
            let own = assets(&page);
            let own: Vec<_> = own
                .iter()
                .filter(|at| at.contains("theme.css?v=") || at.contains("logo.svg?v="))
                .collect();
            assert_eq!(own.len(), 2, "{page}");
            for asset in own {
                let sent = fetch(service, asset, GZIP);
                assert!(sent.head.starts_with("http/1.1 200"), "{}", sent.head);
                assert!(sent.head.contains("immutable"), "{}", sent.head);
                assert!(sent.head.contains("default-src 'none'"), "{}", sent.head);
                let (name, _) = asset.split_once('?').expect("a version");
                let older = fetch(service, &format!("{name}?v=0"), GZIP);
                assert!(older.head.contains("no-cache"), "{}", older.head);
            }
        }
        let style = fetch(service, "/assets/theme.css", "identity").text();
        assert!(style.contains("--one:#6b2fa0"), "{style}");
    }
    let plain = Services::start();
    let page = fetch(&plain.vote, "/", "identity").text();
    assert!(!page.contains("theme.css") && !page.contains("class=\"site\""));
    let none = fetch(&plain.vote, "/assets/theme.css", "identity");
    assert!(none.head.starts_with("http/1.1 404"), "{}", none.head);
}

#[test]
fn where_there_is_one_poll_there_is_no_list_to_go_to() {
    let services = Services::set_up(|_| Setup {
        polls: false,
        ..Setup::default()
    });
    let list = get(&format!("{}/polls", services.vote), &[BROWSER]);
    assert_eq!(list.status, 200);
    assert!(list.body.contains("There is no poll here yet."));
    let only = poll("only", &[("a", "A"), ("b", "B")], 1);
    services
        .block_on(services.memory.put_poll(&only))
        .expect("stored");
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let page = get(&format!("{}/polls/only", services.vote), &[BROWSER]).body;
    assert!(!page.contains("Other polls"), "{page}");
}

#[test]
fn a_link_to_a_page_shows_what_it_is_about_and_no_figures() {
    let services = Services::set_up(|_| {
        let mut setup = Setup::default();
        setup.site.public_url = Some("http://vote.test".parse().expect("an address"));
        setup
    });
    send("POST", &services.vote, &[FORM], b"vote=a");
    services.settle();
    for (service, description) in [
        (&services.vote, "Vote for one of 2 options: Cats, Dogs."),
        (&services.result, "Watch the result come in: Cats, Dogs."),
    ] {
        let page = get(service, &[BROWSER]).body;
        let meta = |line: String| assert!(page.contains(&line), "{line}\n{page}");
        meta(format!(
            "<meta name=\"description\" content=\"{description}\">"
        ));
        meta(format!(
            "<meta property=\"og:description\" content=\"{description}\">"
        ));
        meta("<meta property=\"og:title\" content=\"Cats vs Dogs!\">".to_owned());
        let own = "http://vote.test/polls/cats-vs-dogs";
        meta(format!("<meta property=\"og:url\" content=\"{own}\">"));
        meta(format!("<link rel=\"canonical\" href=\"{own}\">"));
        let robots = get(&format!("{service}/robots.txt"), &[]);
        assert_eq!(robots.status, 200);
        assert!(robots.body.contains("Disallow: /v1/\n"));
        assert_eq!(robots.header("content-type"), "text/plain; charset=utf-8");
    }
}

#[test]
fn a_page_names_its_replica_only_if_it_is_to() {
    let shown = Services::start();
    let hidden = Services::set_up(|_| {
        let mut setup = Setup::default();
        setup.site.served_by = None;
        setup
    });
    for (services, names) in [(&shown, true), (&hidden, false)] {
        for service in [&services.vote, &services.result] {
            for path in ["/", "/polls"] {
                let page = get(&format!("{service}{path}"), &[BROWSER]).body;
                assert_eq!(page.contains("Served by"), names, "{page}");
            }
        }
    }
}

#[test]
fn behind_a_mapped_port_there_is_no_link_that_leads_to_the_inner_one() {
    let services = Services::start();
    for service in [&services.vote, &services.result] {
        let by = |host: &str| {
            let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            ask(service, &request).text()
        };
        let own = service.rsplit(':').next().expect("a port");
        assert!(by(&format!("vote.test:{own}")).contains("aria-label=\"This poll\""));
        for host in ["vote.test:30080", "vote.test"] {
            assert!(!by(host).contains("aria-label=\"This poll\""), "{host}");
        }
    }
}

#[test]
fn the_one_script_in_a_page_is_the_one_that_its_policy_names() {
    use data_encoding::BASE64;
    use sha2::{Digest, Sha256};

    let services = Services::start();
    let page = get(&services.result, &[BROWSER]);
    let policy = page.header("content-security-policy");
    let scripts: Vec<_> = page.body.split("<script>").skip(1).collect();
    assert_eq!(scripts.len(), 1);
    let script = scripts[0].split("</script>").next().expect("its end");
    let hash = BASE64.encode(&Sha256::digest(script));
    let sources = format!("script-src 'self' 'sha256-{hash}';");
    assert!(policy.contains(&sources), "{policy}");
    assert!(!policy.contains("unsafe-inline"), "{policy}");
    // No other page has any.
    for url in [&services.vote, &format!("{}/polls", services.result)] {
        let page = get(url, &[BROWSER]);
        assert!(!page.body.contains("<script>"));
        let policy = page.header("content-security-policy");
        assert!(policy.contains("script-src 'self';"), "{policy}");
    }
    // Going back must be able to show the page as it was left.
    assert_eq!(page.header("cache-control"), "private, no-cache");
}
