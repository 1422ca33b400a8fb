//! A result in other places than its page: on a screen, in pages of other sites, as a picture.

mod support;

use rqrr::PreparedImage;
use support::{Answer, BROWSER, FORM, Services, Setup, get, poll, send};
use voting_core::{
    PollStore,
    model::poll::{PollSettings, ShowResults},
};
use voting_http::Site;
use voting_testing::await_some;

const POLL: &str = "/polls/cats-vs-dogs";

/// What a QR code says that is drawn by this path of an SVG, in the way of a camera: from dark and light.
fn read_code(svg: &str) -> String {
    let path = svg
        .split(" d=\"")
        .filter(|path| path.starts_with('M'))
        .nth(1)
        .and_then(|path| path.split('"').next())
        .expect("the dark modules");
    let size = svg.split("viewBox=\"0 0 ").nth(1).expect("a size");
    let size = size.split(' ').next().expect("a number");
    let size: usize = size.parse().expect("a number");
    let mut dark = vec![false; size * size];
    // M4,4h7v1h-7z
    for run in path.split('M').skip(1) {
        let (x, rest) = run.split_once(',').expect("a place");
        let (y, rest) = rest.split_once('h').expect("a place");
        let (width, _) = rest.split_once('v').expect("a width");
        let [x, y, width] = [x, y, width].map(|text| text.parse::<usize>().expect("a number"));
        dark[y * size + x..][..width].fill(true);
    }
    let scale = 6;
    let mut image = PreparedImage::prepare_from_greyscale(size * scale, size * scale, |x, y| {
        match dark[y / scale * size + x / scale] {
            true => 0,
            false => 255,
        }
    });
    let codes = image.detect_grids();
    assert_eq!(codes.len(), 1, "one code");
    codes[0].decode().expect("a code that can be read").1
}

fn result(services: &Services, path: &str) -> Answer {
    get(&format!("{}{path}", services.result), &[BROWSER])
}

fn with_embedding() -> Services {
    Services::set_up(|_| Setup {
        site: Site::default().with_embed_origins([
            "https://blog.test".parse().expect("an origin"),
            "http://intranet.test:8000".parse().expect("an origin"),
        ]),
        ..Setup::default()
    })
}

#[test]
fn a_reader_of_qr_codes_finds_the_address_where_people_vote() {
    let services = Services::start();
    let address = format!("{}{POLL}", services.vote);
    let code = result(&services, &format!("{POLL}/qr.svg"));
    assert_eq!(code.status, 200);
    assert_eq!(code.header("content-type"), "image/svg+xml");
    assert_eq!(code.header("cross-origin-resource-policy"), "cross-origin");
    assert_eq!(read_code(&code.body), address);
    let screen = result(&services, &format!("{POLL}/present")).body;
    let (_, code) = screen.split_once("class=\"qr\"").expect("a code");
    assert_eq!(read_code(code), address);
    let host = services.vote.strip_prefix("http://").expect("a scheme");
    let typed = format!("dir=\"ltr\"><bdi>{host}</bdi><bdi>{POLL}</bdi></a>");
    assert!(screen.contains(&typed), "{screen}");
}

#[test]
fn a_screen_shows_what_the_page_shows_and_covers_figures_when_asked() {
    let services = Services::start();
    send("POST", &services.vote, &[FORM], b"vote=a");
    services.settle();
    let shown = await_some("the vote is shown", || {
        let screen = result(&services, &format!("{POLL}/present")).body;
        screen.contains("1 vote<").then_some(screen)
    });
    assert!(shown.contains("class=\"choice leads\""));
    assert!(!shown.contains(" covered"));
    assert!(
        shown.contains("href=\"/polls/many/present\""),
        "the next poll"
    );
    assert!(shown.contains("<noscript><meta http-equiv=\"refresh\""));
    let covered = result(&services, &format!("{POLL}/present?figures=hidden")).body;
    assert!(covered.contains("class=\"screen covered\""));
    assert!(covered.contains(&format!("href=\"{POLL}/present\" data-hide")));
}

#[test]
fn a_hidden_result_is_hidden_on_screens_in_frames_and_in_pictures() {
    let services = with_embedding();
    let mut settings = PollSettings::default();
    settings.results = ShowResults::AfterClose;
    let poll = poll("sealed", &[("a", "Tea"), ("b", "Coffee")], 1);
    let poll = poll.with_settings(settings).expect("settings");
    let stored = services.block_on(services.memory.put_poll(&poll));
    stored.expect("the poll is stored");
    let places = [
        "/polls/sealed/present",
        "/embed/polls/sealed",
        "/polls/sealed/result.svg",
    ];
    for place in places {
        let answer = await_some("the poll is found", || {
            let answer = result(&services, place);
            (answer.status != 404).then_some(answer)
        });
        assert_eq!(answer.status, 403, "{place}");
        assert!(answer.body.contains("0 voters"), "{place}: {}", answer.body);
        assert!(!answer.body.contains("0%<"), "{place}: {}", answer.body);
        assert!(answer.body.contains("closed"), "{place}: {}", answer.body);
    }
    // People can still vote: the screen says where.
    let screen = result(&services, "/polls/sealed/present").body;
    assert!(screen.contains("class=\"qr\"") && screen.contains("Coffee"));
    let picture = result(&services, "/polls/sealed/result.svg");
    assert_eq!(picture.header("content-type"), "image/svg+xml");
    // An open screen learns when it has to stop saying so.
    let answer = result(&services, "/polls/sealed/live.json");
    assert!(
        answer.body.contains("\"state\":\"open\""),
        "{}",
        answer.body
    );
}

#[test]
fn only_the_named_sites_may_frame_a_result_and_nothing_else() {
    let services = with_embedding();
    let framed = result(&services, "/embed/polls/cats-vs-dogs");
    assert_eq!(framed.status, 200);
    let policy = framed.header("content-security-policy");
    let ancestors = "frame-ancestors https://blog.test http://intranet.test:8000;";
    assert!(policy.contains(ancestors), "{policy}");
    assert!(
        policy.contains("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert_eq!(framed.header("set-cookie"), "");
    assert!(framed.body.contains("target=\"_blank\" rel=\"noopener\""));
    assert!(!framed.body.contains("<form"), "nobody votes in a frame");
    for other in [
        POLL,
        "/polls/cats-vs-dogs/present",
        "/polls",
        "/embed/polls/none",
    ] {
        let answer = result(&services, other);
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{other}: {policy}"
        );
    }
}

#[test]
fn without_a_named_site_the_page_for_frames_says_so() {
    let services = Services::start();
    let answer = result(&services, "/embed/polls/cats-vs-dogs");
    assert_eq!(answer.status, 404);
    assert!(
        answer.body.contains("has named no other site"),
        "{}",
        answer.body
    );
    let policy = answer.header("content-security-policy");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
}

#[test]
fn a_picture_of_a_result_says_its_moment_and_may_be_shown_anywhere() {
    let services = Services::start();
    send("POST", &services.vote, &[FORM], b"vote=b");
    services.settle();
    let picture = await_some("the vote is shown", || {
        let picture = result(&services, &format!("{POLL}/result.svg"));
        picture.body.contains("1 vote").then_some(picture)
    });
    assert!(
        picture
            .body
            .contains("Newer votes are not in this picture.")
    );
    assert!(picture.body.contains("100% · 1 vote"), "{}", picture.body);
    assert!(
        !picture.body.contains("style"),
        "no policy of a page can break it"
    );
    assert_eq!(
        picture.header("cross-origin-resource-policy"),
        "cross-origin"
    );
    assert_eq!(picture.header("x-robots-tag"), "noindex");
    assert_eq!(picture.header("cache-control"), "public, max-age=10");
    let german = result(&services, &format!("{POLL}/result.svg?lang=de"));
    assert!(
        german.body.contains("100\u{a0}% · 1 Stimme"),
        "{}",
        german.body
    );
    assert_eq!(
        german.header("set-cookie"),
        "",
        "others may keep the picture"
    );
}

#[test]
fn a_site_that_asks_by_oembed_gets_the_frame_of_this_deployment_only() {
    let services = with_embedding();
    let ask = |url: &str, more: &str| {
        let asked = format!("{}/oembed?url={url}{more}", services.result);
        get(&asked, &[])
    };
    let own = format!("{}{POLL}", services.result);
    let answer = ask(&own, "&maxwidth=400&maxheight=9999");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let frame = answer.json();
    assert_eq!(
        (&frame["type"], &frame["version"]),
        (&"rich".into(), &"1.0".into())
    );
    assert_eq!(
        (&frame["width"], &frame["height"]),
        (&400.into(), &258.into())
    );
    let html = frame["html"].as_str().expect("a text");
    let src = format!("<iframe src=\"{}/embed{POLL}\"", services.result);
    assert!(html.starts_with(&src), "{html}");
    for foreign in [
        "http://evil.test/polls/cats-vs-dogs",
        "/polls/cats-vs-dogs",
        "x",
    ] {
        assert_eq!(ask(foreign, "").status, 404, "{foreign}");
    }
    assert_eq!(
        ask(&format!("{}/polls/none", services.result), "").status,
        404
    );
    assert_eq!(ask(&own, "&format=xml").status, 501);
}

#[test]
fn pages_of_a_poll_in_no_list_ask_search_engines_to_leave_them_out() {
    let services = Services::start();
    let mut settings = PollSettings::default();
    settings.listed = false;
    let poll = poll("quiet", &[("a", "Tea"), ("b", "Coffee")], 1);
    let poll = poll.with_settings(settings).expect("settings");
    let stored = services.block_on(services.memory.put_poll(&poll));
    stored.expect("the poll is stored");
    for service in [&services.vote, &services.result] {
        let page = await_some("the poll is found", || {
            let page = get(&format!("{service}/polls/quiet"), &[BROWSER]);
            (page.status == 200).then_some(page)
        });
        assert_eq!(page.header("x-robots-tag"), "noindex");
        assert!(
            page.body
                .contains("<meta name=\"robots\" content=\"noindex\">")
        );
        let listed = get(&format!("{service}{POLL}"), &[BROWSER]);
        assert_eq!(listed.header("x-robots-tag"), "");
        assert!(!listed.body.contains("noindex"));
    }
}

#[test]
fn pages_say_where_other_sites_get_a_frame_and_a_picture_for_them() {
    let services = Services::set_up(|_| Setup {
        site: Site::default()
            .with_public_url(Some("https://result.test".parse().expect("an address")))
            .with_embed_origins(["https://blog.test".parse().expect("an origin")]),
        ..Setup::default()
    });
    let page = result(&services, POLL).body;
    let link = "type=\"application/json+oembed\" href=\"https://result.test/oembed?url=https%3A%2F%2Fresult.test%2Fpolls%2Fcats-vs-dogs\"";
    assert!(page.contains(link), "{page}");
    let picture = "og:image\" content=\"https://result.test/polls/cats-vs-dogs/preview.png?v=";
    assert!(page.contains(picture), "{page}");
}

/// The size of a PNG, from its head.
fn size_of(png: &[u8]) -> (u32, u32) {
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().expect("four bytes"));
    (number(16), number(20))
}

fn bytes(url: &str) -> Vec<u8> {
    let mut answer = ureq::get(url).call().expect("an answer");
    assert_eq!(answer.headers()["content-type"], "image/png");
    answer.body_mut().read_to_vec().expect("a picture")
}

#[test]
fn messengers_get_a_picture_without_figures_and_mail_one_with_them() {
    let services = Services::start();
    let [preview, chart] = ["preview", "result"].map(|name| {
        let url = format!("{}{POLL}/{name}.png", services.result);
        move || bytes(&url)
    });
    let (before, empty) = (preview(), chart());
    assert_eq!(size_of(&before), (1200, 630));
    assert_eq!(size_of(&empty).0, 1440);
    send("POST", &services.vote, &[FORM], b"vote=b");
    services.settle();
    await_some("the vote is drawn", || (chart() != empty).then_some(()));
    assert_eq!(preview(), before);
}

#[test]
fn a_picture_without_letters_for_a_poll_is_not_drawn() {
    let services = Services::start();
    // A letter of Cypro-Minoan, for which hardly a machine has a font.
    let poll = poll("ocha", &[("a", "\u{12f90}"), ("b", "Coffee")], 1);
    let stored = services.block_on(services.memory.put_poll(&poll));
    stored.expect("the poll is stored");
    let answer = await_some("the poll is found", || {
        let answer = get(&format!("{}/polls/ocha/result.png", services.result), &[]);
        answer.body.contains("result.svg").then_some(answer)
    });
    assert_eq!(answer.status, 404);
    // Beside a link, the title is told anyway.
    let preview = bytes(&format!("{}/polls/ocha/preview.png", services.result));
    assert_eq!(size_of(&preview), (1200, 630));
}
