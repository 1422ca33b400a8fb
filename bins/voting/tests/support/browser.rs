//! A real Chromium, headless, driven through chromedriver.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use fantoccini::{
    Client, ClientBuilder, Locator,
    elements::Element,
    wd::{Capabilities, WebDriverCompatibleCommand},
};
use serde_json::{Value, json};

/// A driver and its port; `None` if the driver has ended at once.
fn start_driver() -> Option<(Child, String)> {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver is installed: `./test` sees to it");
    let mut lines = BufReader::new(driver.stdout.take().expect("its output")).lines();
    let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, port) = line.split_once("successfully on port ")?;
        Some(port.trim_end_matches('.').to_owned())
    });
    match port {
        Some(port) => {
            std::thread::spawn(move || lines.for_each(drop));
            Some((driver, port))
        }
        None => {
            driver.wait().expect("it has ended");
            None
        }
    }
}

/// The browser. It ends with the test.
pub struct Browser {
    pub client: Client,
    driver: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    pub async fn start(scripts: bool) -> Self {
        Self::set_up(scripts, true).await
    }

    /// A browser that keeps no cookies.
    pub async fn without_cookies(scripts: bool) -> Self {
        Self::set_up(scripts, false).await
    }

    async fn set_up(scripts: bool, cookies: bool) -> Self {
        // The driver takes a free port, which another process may take before the driver listens. Then the driver
        // ends.
        let (driver, port) = (0..10)
            .find_map(|_| start_driver())
            .expect("chromedriver says its port");
        let profile = tempfile::tempdir().expect("a folder");
        let user_data = format!("--user-data-dir={}", profile.path().display());
        let mut options = json!({
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--no-first-run", "--disable-background-networking", "--disable-component-update",
                "--disable-sync", "--disable-quic", user_data,
            ],
        });
        let off = |setting: &str, off: bool| {
            let name = format!("profile.managed_default_content_settings.{setting}");
            off.then_some((name, json!(2)))
        };
        let off = [off("javascript", !scripts), off("cookies", !cookies)];
        options["prefs"] = off.into_iter().flatten().collect();
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".into(), options);
        capabilities.insert("goog:loggingPrefs".into(), json!({ "browser": "ALL" }));
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("Chromium starts");
        Self {
            client,
            driver,
            _profile: profile,
        }
    }

    pub async fn goto(&self, url: &str) {
        self.client.goto(url).await.expect("the page loads");
    }

    pub async fn find(&self, css: &str) -> Element {
        let found = self.client.wait().at_most(Duration::from_secs(20));
        found
            .for_element(Locator::Css(css))
            .await
            .expect("the element is there")
    }

    pub async fn click(&self, css: &str) {
        self.find(css).await.click().await.expect("clicked");
    }

    pub async fn text(&self, css: &str) -> String {
        self.find(css).await.text().await.expect("its text")
    }

    /// Waits until an element has the expected text.
    pub async fn reads(&self, css: &str, expected: &str) {
        self.patient_reads(css, expected, 20).await;
    }

    /// Waits for up to so many seconds.
    pub async fn patient_reads(&self, css: &str, expected: &str, seconds: u32) {
        let mut text = String::new();
        for _ in 0..seconds * 20 {
            // The page may be replaced between the two commands. Then they are repeated.
            if let Ok(now) = self.find(css).await.text().await {
                text = now;
            }
            if text.contains(expected) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{css} reads {text:?}, not {expected:?}");
    }

    pub async fn run(&self, script: &str) -> Value {
        self.client
            .execute(script, vec![])
            .await
            .expect("the script runs")
    }

    /// Sets the size of the window and the preferred colour scheme.
    pub async fn look(&self, width: u32, height: u32, dark: bool) {
        // A new size breaks off a transition between two pages, and Chromium logs that as an error. A transition starts
        // with the first frame of a page. Questions are asked again and again, since pages may have no scripts that wait.
        let moves =
            "return location.protocol.startsWith('http') && (!!document.activeViewTransition
            || performance.getEntriesByType('paint').length === 0)";
        for _ in 0..100 {
            if self.run(moves).await != true {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.devtools("Emulation.setDeviceMetricsOverride", size)
            .await;
        let colours = if dark { "dark" } else { "light" };
        let colours = json!({ "features": [{ "name": "prefers-color-scheme", "value": colours }] });
        self.devtools("Emulation.setEmulatedMedia", colours).await;
    }

    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        let command = Chrome("goog/cdp/execute", body);
        self.client
            .issue_cmd(command)
            .await
            .expect("Chromium does it")
    }

    /// The errors in the browser's log since the last call.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self
            .client
            .issue_cmd(Chrome("se/log", json!({ "type": "browser" })))
            .await;
        let log = log.expect("the log");
        let lines = log.as_array().expect("a list").iter();
        lines.map(|line| line["message"].to_string()).collect()
    }

    pub async fn end(self) {
        let _ = self.client.clone().close().await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver is asked to end and not killed, since it then ends its Chromium too.
        let id = self.driver.id().to_string();
        let _ = Command::new("kill").args(["-s", "TERM", &id]).status();
        let _ = self.driver.wait();
    }
}

/// A command of Chromium's protocol.
#[derive(Debug)]
struct Chrome(&'static str, Value);

impl WebDriverCompatibleCommand for Chrome {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!(
            "session/{}/{}",
            session.unwrap_or_default(),
            self.0
        ))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.1.to_string()))
    }
}
