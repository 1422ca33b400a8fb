//! Looks for barriers on a page with axe-core, for people who use a screen reader, a keyboard, or much contrast.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::{Value, json};

use crate::support::browser::Browser;

/// The rules that are checked: those of WCAG 2.2 AA, and what is good practice.
const RULES: [&str; 6] = [
    "wcag2a",
    "wcag2aa",
    "wcag21a",
    "wcag21aa",
    "wcag22aa",
    "best-practice",
];

const PACKAGE: &str = include_str!("../accessibility/package.json");

/// Installs axe-core once, in a folder that is kept. `None`: the registry cannot be reached.
fn install() -> Option<String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("accessibility");
    std::fs::create_dir_all(&folder).expect("a folder");
    let script = folder.join("node_modules/axe-core/axe.min.js");
    let package = folder.join("package.json");
    let is_there = script.exists()
        && std::fs::read_to_string(&package).is_ok_and(|installed| installed == PACKAGE);
    if !is_there {
        std::fs::write(&package, PACKAGE).expect("written");
        let arguments = [
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--no-package-lock",
        ];
        let installed = Command::new("npm")
            .args(arguments)
            .current_dir(&folder)
            .stdout(Stdio::null())
            .status();
        if !installed.is_ok_and(|status| status.success()) {
            let _ = std::fs::remove_file(&package);
            let is_expected =
                std::env::var("EXPECT_ACCESSIBILITY").is_ok_and(|value| !value.is_empty());
            assert!(!is_expected, "axe-core cannot be had here");
            eprintln!("skipped: axe-core cannot be had here");
            return None;
        }
    }
    Some(std::fs::read_to_string(script).expect("axe-core"))
}

fn script() -> Option<&'static str> {
    static SCRIPT: OnceLock<Option<String>> = OnceLock::new();
    SCRIPT.get_or_init(install).as_deref()
}

/// The barriers of the page as it is shown: for each, the rule, what it is about, and where.
pub(crate) async fn on(browser: &Browser) -> Vec<String> {
    let Some(script) = script() else {
        return Vec::new();
    };
    // Colours that are still changing are none of those that people see.
    let settle = "document.getAnimations().forEach((animation) => animation.finish())";
    browser.run(settle).await;
    browser.run(script).await;
    let look = "const done = arguments[arguments.length - 1];
        axe.run(document, { runOnly: arguments[0], resultTypes: ['violations'] })
            .then((found) => done(found.violations), (error) => done(String(error)))";
    let found = browser.client.execute_async(look, vec![json!(RULES)]).await;
    let found = found.expect("axe-core runs");
    let violations = found.as_array().expect("a list").iter();
    let told = violations.flat_map(|violation| {
        let nodes = violation["nodes"].as_array().expect("a list").iter();
        nodes.map(|node| {
            let text = |value: &Value| value.as_str().unwrap_or_default().replace('\n', " ");
            format!(
                "{}: {} at {}: {}",
                text(&violation["id"]),
                text(&violation["help"]),
                node["target"],
                text(&node["failureSummary"])
            )
        })
    });
    told.collect()
}
