//! A host who signs in at an identity provider on another site.

use std::net::TcpListener;

use serde_json::json;
use voting_testing::oidc::{CLIENT_ID, CLIENT_SECRET, IdentityProvider};

use crate::support::{Voting, browser::Browser, command_with_hosts_at};

/// An address of this machine at which nobody listens.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

async fn signs_in_and_out(scripts: bool) {
    // Another site than 127.0.0.1, so that the way back is from another site.
    let provider = IdentityProvider::start("localhost");
    provider.add(
        "anna",
        json!({"groups": ["voting-hosts"], "preferred_username": "anna"}),
    );
    provider.add("nora", json!({}));
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("client-secret");
    std::fs::write(&secret, format!("{CLIENT_SECRET}\n")).expect("written");
    let hosts = free_address();
    let url = format!("http://{hosts}");
    provider.leads_back_to(&format!("{url}/sign-in/back"));
    let mut command = command_with_hosts_at(folder.path(), &hosts);
    let settings = [
        ("VOTING_WORKER__PUBLIC_URL", url.clone()),
        ("VOTING_HOST_LOGIN__ISSUER", provider.issuer.clone()),
        ("VOTING_HOST_LOGIN__CLIENT_ID", CLIENT_ID.to_owned()),
        (
            "VOTING_HOST_LOGIN__CLIENT_SECRET_FILE",
            secret.display().to_string(),
        ),
        (
            "VOTING_HOST_LOGIN__HOSTS",
            "voting-hosts, others".to_owned(),
        ),
    ];
    command.envs(settings);
    let _voting = Voting::start_as(folder.path(), &mut command);
    let browser = Browser::start(scripts).await;
    let sign_in_as = async |person: &str| {
        browser.click("main a.primary").await;
        browser.reads("h1", "Who are you?").await;
        let field = browser.find("#person").await;
        field.send_keys(person).await.expect("typed");
        browser.click("button").await;
    };

    browser.goto(&format!("{url}/polls/cats-vs-dogs")).await;
    browser.reads("h1", "Sign in").await;
    if scripts {
        crate::host::look_at(&browser, "sign-in-provider").await;
    }
    sign_in_as("nora").await;
    browser.reads("#error", "you have no role here").await;
    sign_in_as("anna").await;
    browser.reads(".who", "login:sub-of-anna (anna)").await;
    let at = browser.client.current_url().await.expect("an address");
    assert_eq!(at.path(), "/polls/cats-vs-dogs");
    if scripts {
        browser
            .run("sessionStorage.setItem('kept', '1'); document.cookie = 'voter=1; path=/'")
            .await;
    }
    browser.click(".host-nav form button").await;
    browser.reads(".done", "You are signed out here.").await;
    if scripts {
        // Chromium removes what the header names, and leaves the cookies of voters.
        let left = browser
            .run("return [sessionStorage.getItem('kept'), document.cookie]")
            .await;
        assert_eq!(left, json!([null, "voter=1"]));
    }
    browser.goto(&format!("{url}/polls/cats-vs-dogs")).await;
    browser.reads("h1", "Sign in").await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_signs_in_at_a_provider_on_another_site_and_out() {
    signs_in_and_out(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_signs_in_at_a_provider_without_scripts() {
    signs_in_and_out(false).await;
}
