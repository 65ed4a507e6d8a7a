//! A DynamoDB client that tries like an SDK: short timeouts, retries of what may pass, one invocation id for all attempts.

use crate::sigv4::{self, Signer};
use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};

const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(2500);
const PAUSE: Duration = Duration::from_millis(50);

/// What one attempt came back with.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// The exception's name without its namespace; empty for a success.
    pub(crate) fn exception(&self) -> &str {
        self.body["__type"].as_str().map_or("", |name| name.rsplit('#').next().unwrap_or(name))
    }

    pub(crate) fn ok(self) -> Result<Value> {
        if self.status != 200 {
            bail!("status {}: {}", self.status, self.body);
        }
        Ok(self.body)
    }
}

/// Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub(crate) struct Dynamo {
    http: Client<HttpConnector, Full<Bytes>>,
    authority: String,
    signer: Signer,
}

impl Dynamo {
    /// `authority` is host and port.
    pub(crate) fn new(authority: impl Into<String>, signer: Signer) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let http = Client::builder(TokioExecutor::new()).pool_idle_timeout(Duration::from_secs(20)).build(connector);
        Self { http, authority: authority.into(), signer }
    }

    pub(crate) fn with_signer(&self, signer: Signer) -> Self {
        Self { signer, ..self.clone() }
    }

    /// One attempt.
    pub(crate) async fn call(&self, operation: &str, body: &Value) -> Result<Answer> {
        self.attempt(operation, body, &invocation_id(), 1).await
    }

    /// `attempt` counts from 1, as SDKs tell it.
    async fn attempt(&self, operation: &str, body: &Value, invocation: &str, attempt: u32) -> Result<Answer> {
        let bytes = serde_json::to_vec(body)?;
        let mut request = Request::post(format!("http://{}/", self.authority))
            .header("amz-sdk-invocation-id", invocation)
            .header("amz-sdk-request", format!("attempt={attempt}"));
        for (name, value) in self.signer.headers(&self.authority, operation, &bytes, &sigv4::now()) {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(bytes)))?;
        let exchange = async {
            let response = self.http.request(request).await.map_err(|error| anyhow!(describe(&error)))?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await?.to_bytes();
            Ok(Answer {
                status,
                body: serde_json::from_slice(&body)
                    .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned())),
            })
        };
        timeout(ATTEMPT_TIMEOUT, exchange).await.context("no answer in time")?
    }

    /// Attempts until it is answered other than by a failure that may pass, for as long as `patience`.
    pub(crate) async fn insist(&self, operation: &str, body: &Value, patience: Duration) -> Result<Answer> {
        let invocation = invocation_id();
        let deadline = now() + patience;
        for attempt in 1.. {
            let outcome = self.attempt(operation, body, &invocation, attempt).await;
            let problem = match outcome {
                Ok(answer) if answer.status < 500 && !answer.exception().contains("Throttl") => return Ok(answer),
                Ok(answer) => format!("status {}: {}", answer.status, answer.body),
                Err(error) => format!("{error:#}"),
            };
            if now() > deadline {
                bail!("{operation} did not succeed within {patience:?}: {problem}");
            }
            sleep(PAUSE).await;
        }
        bail!("{operation} was tried more often than can be counted")
    }

    /// All items of a table whose key is the string `Id`, by that.
    pub(crate) async fn scan(&self, table: &str, patience: Duration) -> Result<BTreeMap<String, Value>> {
        let mut found = BTreeMap::new();
        let mut body = json!({"TableName": table, "ConsistentRead": true});
        loop {
            let mut page = self.insist("Scan", &body, patience).await?.ok()?;
            if let Value::Array(items) = page["Items"].take() {
                found.extend(items.into_iter().filter_map(|item| Some((item["Id"]["S"].as_str()?.to_owned(), item))));
            }
            body["ExclusiveStartKey"] = page["LastEvaluatedKey"].take();
            if body["ExclusiveStartKey"].is_null() {
                return Ok(found);
            }
        }
    }
}

fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

fn invocation_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("e2e-{}-{}-{}", std::process::id(), sigv4::now(), NEXT.fetch_add(1, Ordering::Relaxed))
}

#[expect(clippy::disallowed_methods, reason = "the suite measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
