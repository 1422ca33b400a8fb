//! A transaction of etcd: what must be so, what is done then, and what is read if it is not so.

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, json};

/// What the gateway takes for bytes.
pub(crate) fn bytes(bytes: impl AsRef<[u8]>) -> String {
    BASE64.encode(bytes.as_ref())
}

/// A transaction. etcd takes up to 128 conditions, and 128 steps, unless it is set otherwise.
#[derive(Debug, Default)]
pub(crate) struct Txn {
    conditions: Vec<Value>,
    steps: Vec<Value>,
    otherwise: Vec<Value>,
}

impl Txn {
    /// The key was last written at this revision; 0: it is not there.
    pub(crate) fn if_unchanged(mut self, key: &str, revision: i64) -> Self {
        self.conditions.push(json!({
            "target": "MOD", "result": "EQUAL", "key": bytes(key), "mod_revision": revision.to_string(),
        }));
        self
    }

    /// The key is there.
    pub(crate) fn if_there(mut self, key: &str) -> Self {
        self.conditions.push(json!({
            "target": "CREATE", "result": "GREATER", "key": bytes(key), "create_revision": "0",
        }));
        self
    }

    pub(crate) fn put(self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.step(json!({ "request_put": { "key": bytes(key), "value": bytes(value) } }))
    }

    /// The key goes away when the lease ends.
    pub(crate) fn put_leased(self, key: &str, lease: &str) -> Self {
        self.step(json!({ "request_put": { "key": bytes(key), "value": "", "lease": lease } }))
    }

    pub(crate) fn delete(self, key: &str) -> Self {
        self.step(json!({ "request_delete_range": { "key": bytes(key) } }))
    }

    pub(crate) fn get(self, key: &str) -> Self {
        self.step(json!({ "request_range": { "key": bytes(key) } }))
    }

    /// The first keys from `from` on and before `to`, in order, without their values.
    pub(crate) fn list(self, from: &str, to: &str, limit: usize) -> Self {
        self.step(json!({ "request_range": {
            "key": bytes(from), "range_end": bytes(to), "limit": limit.to_string(), "keys_only": true,
        } }))
    }

    /// Reads this if a condition does not hold.
    pub(crate) fn or_get(mut self, key: &str) -> Self {
        let get = json!({ "request_range": { "key": bytes(key) } });
        self.otherwise.push(get);
        self
    }

    fn step(mut self, step: Value) -> Self {
        self.steps.push(step);
        self
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({ "compare": self.conditions, "success": self.steps, "failure": self.otherwise })
    }
}

/// A key as it is stored.
#[derive(Debug, Deserialize)]
pub(crate) struct Stored {
    #[serde(deserialize_with = "text")]
    pub(crate) key: String,
    #[serde(default, deserialize_with = "decoded")]
    pub(crate) value: Vec<u8>,
    /// The revision at which it was last written.
    #[serde(rename = "mod_revision", deserialize_with = "number")]
    pub(crate) revision: i64,
}

fn decoded<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    BASE64.decode(text.as_bytes()).map_err(D::Error::custom)
}

fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    String::from_utf8(decoded(from)?).map_err(D::Error::custom)
}

/// The gateway writes numbers of 64 bits as texts.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(D::Error::custom)
}

/// As the gateway sends it, which leaves out what is empty.
#[derive(Debug, Deserialize)]
pub(crate) struct Sent {
    header: Header,
    #[serde(default)]
    succeeded: bool,
    #[serde(default)]
    responses: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Header {
    #[serde(deserialize_with = "number")]
    revision: i64,
}

#[derive(Debug, Deserialize)]
struct Step {
    response_range: Option<Range>,
}

#[derive(Debug, Deserialize)]
struct Range {
    #[serde(default)]
    kvs: Vec<Stored>,
}

/// What became of a transaction.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The revision of etcd then. If the transaction wrote, what it wrote has this revision.
    pub(crate) revision: i64,
    /// The conditions held.
    pub(crate) done: bool,
    /// What was found by each step that reads.
    pub(crate) found: Vec<Vec<Stored>>,
}

impl Answer {
    pub(crate) fn of(sent: Sent) -> Self {
        let reads = sent.responses.into_iter();
        Self {
            revision: sent.header.revision,
            done: sent.succeeded,
            found: reads
                .filter_map(|step| Some(step.response_range?.kvs))
                .collect(),
        }
    }

    /// The key that the read at this place asked for.
    pub(crate) fn one(&self, read: usize) -> Option<&Stored> {
        self.found.get(read)?.first()
    }
}
