//! An identity provider for OpenID Connect: a server that signs real tokens with real keys, and checks the client's secret,
//! the address to go back to, PKCE, and that a code is used once. A test can let it go wrong.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use ring::{
    digest, hmac,
    rand::{SecureRandom, SystemRandom},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Map, Value, json};

/// The client that the provider knows.
pub const CLIENT_ID: &str = "voting hosts";

/// Its secret, which is encoded in a form.
pub const CLIENT_SECRET: &str = "a secret: with % and +";

/// How an ID token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// By ES256 with the key that is published.
    Right,
    /// Not at all, as `alg: none` says.
    None,
    /// By HS256, with the public key as the secret.
    Hs256,
    /// By ES256 with another key of the same id.
    Stranger,
}

/// Changes a document, or the claims of a token.
type Change = Box<dyn Fn(&mut Value) + Send>;

/// Changes the fields that are sent back with the browser.
type ChangeFields = Box<dyn Fn(&mut Vec<(String, String)>) + Send>;

/// How the provider goes wrong.
#[expect(missing_debug_implementations, reason = "it holds closures")]
pub struct Wrong {
    /// How ID tokens are signed.
    pub signing: Signing,
    /// What is changed in the claims of ID tokens.
    pub claims: Change,
    /// What is changed in what the browser brings back.
    pub answer: ChangeFields,
    /// What is changed in the document of the provider.
    pub document: Change,
    /// The status of all answers to the service, if they fail.
    pub status: Option<u16>,
    /// How long the provider waits before it answers the service.
    pub pause: Duration,
}

impl Default for Wrong {
    fn default() -> Self {
        Self {
            signing: Signing::Right,
            claims: Box::new(|_| ()),
            answer: Box::new(|_| ()),
            document: Box::new(|_| ()),
            status: None,
            pause: Duration::ZERO,
        }
    }
}

/// What the provider remembers of somebody who has signed in.
struct Grant {
    person: String,
    back: String,
    challenge: String,
    nonce: String,
    is_used: bool,
}

#[derive(Default)]
struct State {
    back: String,
    people: HashMap<String, Value>,
    grants: HashMap<String, Grant>,
    wrong: Wrong,
    refused: Vec<String>,
}

struct Keys {
    right: EcdsaKeyPair,
    stranger: EcdsaKeyPair,
    random: SystemRandom,
}

/// An identity provider. It ends with the process.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "it holds keys and closures")]
pub struct IdentityProvider {
    /// The `iss` of its tokens, and its address.
    pub issuer: String,
    state: Arc<Mutex<State>>,
    keys: Arc<Keys>,
}

fn fields(text: &str) -> HashMap<String, String> {
    let pairs = form_urlencoded::parse(text.as_bytes());
    pairs.into_owned().collect()
}

fn form(pairs: &[(String, String)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(pairs).finish()
}

fn sha256(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    BASE64URL_NOPAD.encode(digest.as_ref())
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a time").as_secs()
}

impl IdentityProvider {
    /// A provider on a free port. `host` is the name under which it is known: `127.0.0.1`, or `localhost`, which is another
    /// site for a browser.
    ///
    /// # Panics
    /// There is no port, or no key.
    pub fn start(host: &str) -> Self {
        let random = SystemRandom::new();
        let key = || {
            let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
            EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).expect("a key")
        };
        let (right, stranger) = (key(), key());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let provider = Self {
            issuer: format!("http://{host}:{port}"),
            state: Arc::default(),
            keys: Arc::new(Keys {
                right,
                stranger,
                random,
            }),
        };
        let served = provider.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let provider = served.clone();
                thread::spawn(move || provider.serve(client));
            }
        });
        provider
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("sound")
    }

    /// Lets people come back to this address only.
    pub fn leads_back_to(&self, address: &str) {
        address.clone_into(&mut self.state().back);
    }

    /// Adds somebody, with further claims.
    pub fn add(&self, person: &str, claims: Value) {
        self.state().people.insert(person.to_owned(), claims);
    }

    /// Lets the provider go wrong from now on.
    pub fn goes(&self, wrong: Wrong) {
        self.state().wrong = wrong;
    }

    /// Why requests were refused since the last look.
    pub fn refused(&self) -> Vec<String> {
        std::mem::take(&mut self.state().refused)
    }

    /// Signs somebody in at the page to which the service has led the browser. Returns the address to which the browser is
    /// sent back, or why it is not.
    ///
    /// # Errors
    /// The provider does not take what the service has sent along.
    pub fn sign_in(&self, page: &str, person: &str) -> Result<String, String> {
        let (address, query) = page.split_once('?').ok_or("there is no query")?;
        if address != format!("{}/authorize", self.issuer) {
            return Err(format!("{address} is no page of the provider"));
        }
        self.authorize(&fields(query), person)
    }

    fn authorize(&self, asked: &HashMap<String, String>, person: &str) -> Result<String, String> {
        let field = |name: &str| asked.get(name).cloned().unwrap_or_default();
        let mut state = self.state();
        let back = field("redirect_uri");
        let checks = [
            ("response_type", field("response_type") == "code"),
            ("client_id", field("client_id") == CLIENT_ID),
            ("redirect_uri", back == state.back),
            (
                "scope",
                field("scope").split(' ').any(|scope| scope == "openid"),
            ),
            ("state", field("state").len() >= 32),
            ("nonce", field("nonce").len() >= 32),
            ("method", field("code_challenge_method") == "S256"),
            ("challenge", field("code_challenge").len() == 43),
            ("person", state.people.contains_key(person)),
        ];
        if let Some((name, _)) = checks.iter().find(|(_, is_right)| !is_right) {
            return Err(format!("{name} is wrong"));
        }
        let mut bytes = [0; 16];
        self.keys.random.fill(&mut bytes).expect("random numbers");
        let code = BASE64URL_NOPAD.encode(&bytes);
        let grant = Grant {
            person: person.to_owned(),
            back: back.clone(),
            challenge: field("code_challenge"),
            nonce: field("nonce"),
            is_used: false,
        };
        state.grants.insert(code.clone(), grant);
        let mut answer = vec![
            ("code".to_owned(), code),
            ("state".to_owned(), field("state")),
            ("iss".to_owned(), self.issuer.clone()),
        ];
        (state.wrong.answer)(&mut answer);
        Ok(format!("{back}?{}", form(&answer)))
    }

    /// The ID token for a code, or why there is none.
    fn token(
        &self,
        authorization: Option<&str>,
        asked: &HashMap<String, String>,
    ) -> Result<String, &'static str> {
        let field = |name: &str| asked.get(name).map(String::as_str);
        let encoded =
            |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let expected = format!("{}:{}", encoded(CLIENT_ID), encoded(CLIENT_SECRET));
        let expected = format!("Basic {}", BASE64.encode(expected.as_bytes()));
        if authorization != Some(&*expected) {
            return Err("invalid_client");
        }
        if field("grant_type") != Some("authorization_code") {
            return Err("unsupported_grant_type");
        }
        let mut state = self.state();
        let grant = field("code").and_then(|code| state.grants.get_mut(code));
        let grant = grant.ok_or("invalid_grant: unknown")?;
        if std::mem::replace(&mut grant.is_used, true) {
            return Err("invalid_grant: used");
        }
        if field("redirect_uri") != Some(&grant.back) {
            return Err("invalid_grant: redirect_uri");
        }
        let verifier = field("code_verifier").unwrap_or_default();
        if verifier.len() < 43 || sha256(verifier) != grant.challenge {
            return Err("invalid_grant: PKCE");
        }
        let (person, nonce) = (grant.person.clone(), grant.nonce.clone());
        let mut claims = json!({
            "iss": self.issuer, "aud": CLIENT_ID, "sub": format!("sub-of-{person}"), "nonce": nonce,
            "iat": now(), "exp": now() + 300,
        });
        let more = state.people[&person].as_object().cloned();
        if let Value::Object(claims) = &mut claims {
            claims.extend(more.unwrap_or_default());
        }
        (state.wrong.claims)(&mut claims);
        if let Value::Object(claims) = &mut claims {
            // What is changed to null is left out.
            claims.retain(|_, value| !value.is_null());
        }
        Ok(self.sign(&claims, state.wrong.signing))
    }

    fn sign(&self, claims: &Value, signing: Signing) -> String {
        let algorithm = match signing {
            Signing::Right | Signing::Stranger => "ES256",
            Signing::None => "none",
            Signing::Hs256 => "HS256",
        };
        let header = json!({"alg": algorithm, "kid": "key", "typ": "JWT"});
        let encoded = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let message = format!("{}.{}", encoded(&header), encoded(claims));
        let keys = &*self.keys;
        let sign = |key: &EcdsaKeyPair| {
            let signature = key.sign(&keys.random, message.as_bytes());
            signature.expect("signed").as_ref().to_vec()
        };
        let signature = match signing {
            Signing::Right => sign(&keys.right),
            Signing::Stranger => sign(&keys.stranger),
            Signing::None => Vec::new(),
            Signing::Hs256 => {
                let public = keys.right.public_key().as_ref();
                let key = hmac::Key::new(hmac::HMAC_SHA256, public);
                hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
            }
        };
        format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
    }

    fn document(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        let mut document = json!({
            "issuer": self.issuer,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "jwks_uri": at("/keys"),
            "response_types_supported": ["code"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        });
        (self.state().wrong.document)(&mut document);
        document
    }

    fn published(&self) -> Value {
        let public = self.keys.right.public_key().as_ref();
        // 4, then the two coordinates.
        let [x, y] = [&public[1..33], &public[33..]].map(|part| BASE64URL_NOPAD.encode(part));
        json!({"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "kid": "key", "x": x, "y": y}]})
    }

    fn serve(&self, client: TcpStream) {
        let Some(request) = Request::read(&client) else {
            return;
        };
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let by_service = !path.starts_with("/authorize");
        if by_service {
            let (pause, status) = {
                let state = self.state();
                (state.wrong.pause, state.wrong.status)
            };
            thread::sleep(pause);
            if let Some(status) = status {
                send(
                    client,
                    &format!("{status} Wrong"),
                    "text/plain",
                    "",
                    "not now",
                );
                return;
            }
        }
        let json = "application/json";
        match (&*request.method, path) {
            ("GET", "/.well-known/openid-configuration") => {
                send(client, "200 OK", json, "", &self.document().to_string());
            }
            ("GET", "/keys") => send(client, "200 OK", json, "", &self.published().to_string()),
            ("GET", "/authorize") => self.ask(client, query),
            ("POST", "/authorize") => match self.authorize(
                &fields(query),
                fields(&request.body)
                    .get("person")
                    .map_or("", String::as_str),
            ) {
                Ok(back) => {
                    let location = format!("location: {back}\r\n");
                    send(client, "302 Found", "text/plain", &location, "");
                }
                Err(why) => send(client, "400 Bad Request", "text/plain", "", &why),
            },
            ("POST", "/token") => {
                let authorization = request.headers.get("authorization");
                let token = self.token(authorization.map(String::as_str), &fields(&request.body));
                match token {
                    Ok(token) => {
                        let answer =
                            json!({"access_token": "x", "token_type": "Bearer", "id_token": token});
                        send(client, "200 OK", json, "", &answer.to_string());
                    }
                    Err(why) => {
                        self.state().refused.push(why.to_owned());
                        let error = why.split(':').next();
                        send(
                            client,
                            "400 Bad Request",
                            json,
                            "",
                            &json!({"error": error}).to_string(),
                        );
                    }
                }
            }
            _ => send(client, "404 Not Found", "text/plain", "", "nothing"),
        }
    }

    /// The page where people sign in.
    fn ask(&self, client: TcpStream, query: &str) {
        let query = query.replace('&', "&amp;");
        let page = format!(
            "<!doctype html><title>Identity provider</title><h1>Who are you?</h1>\
             <form method=post action=\"/authorize?{query}\"><input id=person name=person><button>Sign in</button></form>"
        );
        send(client, "200 OK", "text/html; charset=utf-8", "", &page);
    }
}

/// A request, as far as it is used here.
struct Request {
    method: String,
    target: String,
    headers: HashMap<String, String>,
    body: String,
}

impl Request {
    fn read(client: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(client);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut parts = line.split(' ');
        let (method, target) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers
            .get("content-length")
            .and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        Some(Self {
            method,
            target,
            headers,
            body: String::from_utf8(body).ok()?,
        })
    }
}

fn send(mut client: TcpStream, status: &str, kind: &str, more: &str, body: &str) {
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n{more}connection: close\r\n\r\n{body}"
    );
    // A client that has gone away needs no answer.
    let _ = client.write_all(answer.as_bytes());
}

/// Claims that are added or, with `null`, removed.
pub fn with_claims(more: Value) -> Wrong {
    let more = match more {
        Value::Object(more) => more,
        _ => Map::new(),
    };
    Wrong {
        claims: Box::new(move |claims| {
            if let Value::Object(claims) = claims {
                claims.extend(more.clone());
            }
        }),
        ..Wrong::default()
    }
}
