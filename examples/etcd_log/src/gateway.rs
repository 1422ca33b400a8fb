//! Requests to etcd, by its [gateway](https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/): JSON over HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::timeout;
use voting_core::{CastError, ErrorKind, StoreError, error::BoxError};

use crate::txn::{self, Txn};

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// etcd said no before it did anything.
    #[error("etcd refused the request: {message}")]
    Refused { kind: ErrorKind, message: String },
    /// There was no connection.
    #[error("etcd cannot be reached")]
    NotConnected(#[source] BoxError),
    /// The request was sent. Whether etcd did what it asks for is not known.
    #[error("etcd did not answer")]
    NoAnswer(#[source] BoxError),
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        let kind = match &failure {
            Failure::Refused { kind, .. } => *kind,
            Failure::NotConnected(_) | Failure::NoAnswer(_) => ErrorKind::Unreachable,
        };
        Self::of_kind(kind, failure)
    }
}

/// Of a transaction that writes.
impl From<Failure> for CastError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused { .. } | Failure::NotConnected(_) => Self::Refused(failure.into()),
            Failure::NoAnswer(_) => Self::Unknown(failure.into()),
        }
    }
}

/// The error that etcd returns for a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    message: String,
    /// A [status code](https://grpc.io/docs/guides/status-codes/) of gRPC.
    code: u32,
}

impl From<Refusal> for Failure {
    fn from(Refusal { message, code }: Refusal) -> Self {
        let kind = match code {
            3 | 5 | 9 => ErrorKind::Other,
            7 => ErrorKind::Forbidden,
            8 => ErrorKind::Full,
            16 => ErrorKind::Unauthenticated,
            // Such as 14, after a time-out within etcd, which may still do it.
            _ => return Self::NoAnswer(message.into()),
        };
        Self::Refused { kind, message }
    }
}

#[derive(Debug)]
pub(crate) struct Gateway {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
}

impl Gateway {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            url: url.trim_end_matches('/').to_owned(),
        }
    }

    /// Waits for the head of an answer, of any status.
    async fn send(&self, path: &str, body: &Value) -> Result<Response<Incoming>, Failure> {
        let request = Request::post(format!("{}{path}", self.url))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body.to_string()))
            .map_err(|error| Failure::NotConnected(error.into()))?;
        self.client.request(request).await.map_err(|error| {
            if error.is_connect() {
                Failure::NotConnected(error.into())
            } else {
                Failure::NoAnswer(error.into())
            }
        })
    }

    async fn ask<A: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<A, Failure> {
        let answer = async {
            let answer = self.send(path, body).await?;
            let status = answer.status();
            let bytes = answer.into_body().collect().await;
            let bytes = bytes.map_err(|error| Failure::NoAnswer(error.into()))?;
            Ok::<_, Failure>((status, bytes.to_bytes()))
        };
        let answer = timeout(PATIENCE, answer).await;
        let (status, bytes) = answer.map_err(|late| Failure::NoAnswer(late.into()))??;
        if status != StatusCode::OK {
            let refusal = serde_json::from_slice::<Refusal>(&bytes).unwrap_or_default();
            return Err(refusal.into());
        }
        serde_json::from_slice(&bytes).map_err(|error| Failure::NoAnswer(error.into()))
    }

    /// Carries a transaction out: all of it or nothing, on the disks of most members once this returns.
    pub(crate) async fn commit(&self, txn: &Txn) -> Result<txn::Answer, Failure> {
        let answer = self.ask("/v3/kv/txn", &txn.to_json()).await?;
        Ok(txn::Answer::of(answer))
    }

    /// A lease of about this time, by etcd's clock: never shorter, but longer if etcd is set so.
    pub(crate) async fn lease(&self, seconds: u64) -> Result<String, Failure> {
        #[derive(Deserialize)]
        struct Lease {
            #[serde(rename = "ID")]
            id: String,
        }
        let lease: Lease = self
            .ask("/v3/lease/grant", &json!({ "TTL": seconds }))
            .await?;
        Ok(lease.id)
    }

    /// Whether etcd raises an alarm, such as that its disk is full.
    pub(crate) async fn is_alarmed(&self) -> Result<bool, Failure> {
        #[derive(Deserialize)]
        struct Alarms {
            #[serde(default)]
            alarms: Vec<Value>,
        }
        let asked = json!({ "action": "GET" });
        let answer: Alarms = self.ask("/v3/maintenance/alarm", &asked).await?;
        Ok(!answer.alarms.is_empty())
    }

    /// Waits until something is written between these keys at this revision or a later one, without a limit of time.
    pub(crate) async fn written(&self, from: &str, to: &str, at: i64) -> Result<(), Failure> {
        let asked = json!({ "create_request": {
            "key": txn::bytes(from),
            "range_end": txn::bytes(to),
            "start_revision": at.to_string(),
            "filters": ["NODELETE"],
        } });
        let mut body = self.send("/v3/watch", &asked).await?.into_body();
        let mut line = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::NoAnswer(error.into()))?;
            for byte in frame.data_ref().into_iter().flatten() {
                line.push(*byte);
                if *byte == b'\n' {
                    // The first line says that the watch is there. Any other is news, also that it is not any more.
                    let reply: Value = serde_json::from_slice(&line).unwrap_or_default();
                    let only_made = reply["result"]["created"] == true
                        && reply["result"]["canceled"] != true
                        && reply["result"]["events"].is_null();
                    if !only_made {
                        return Ok(());
                    }
                    line.clear();
                }
            }
        }
        Err(Failure::NoAnswer("the watch has ended".into()))
    }
}
