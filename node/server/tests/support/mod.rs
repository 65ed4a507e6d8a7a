//! A `cairn dev` of a test's own, and a client as plain as can be.
#![allow(dead_code)] // each test file uses its part

pub mod api_server;
pub mod archives;
pub mod group;
pub mod indexed;
pub mod router;
pub mod s3;

use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A running `cairn dev`; killed when dropped.
pub struct Dev {
    child: Child,
    pub endpoint: String,
}

impl Dev {
    /// Starts on a free port over the folder and waits until it says where it listens.
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// Starts with more arguments.
    pub fn start_with(data: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cairn"))
            .args(["dev", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(arguments)
            .env("CAIRN_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("cairn dev ended without a word").unwrap();
        let endpoint = first.split_whitespace().find(|word| word.starts_with("http")).unwrap();
        let endpoint = endpoint.trim_end_matches(',').to_owned();
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, endpoint }
    }

    /// SIGKILL, as an out-of-memory killer would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A page of a process' port for health and metrics, with its head.
pub async fn admin_page(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
    page
}

/// Calls operations and gives back status and body; no answer is an error.
#[derive(Clone)]
pub struct Caller {
    client: Client<HttpConnector, Full<Bytes>>,
    endpoint: String,
}

impl Caller {
    pub fn new(endpoint: &str) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), endpoint: endpoint.to_owned() }
    }

    pub async fn call(&self, operation: &str, body: Value) -> Result<(u16, Value), String> {
        self.call_target(&format!("DynamoDB_20120810.{operation}"), body).await
    }

    /// An operation of DynamoDB Streams that must succeed.
    pub async fn streams(&self, operation: &str, body: Value) -> Value {
        let answer = self.call_target(&format!("DynamoDBStreams_20120810.{operation}"), body).await;
        let (status, answer) = answer.unwrap();
        assert_eq!(status, 200, "{operation}: {answer}");
        answer
    }

    pub async fn call_target(&self, target: &str, body: Value) -> Result<(u16, Value), String> {
        let request = Request::post(&self.endpoint)
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-date", "20260101T000000Z")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/dynamodb/aws4_request, \
                 SignedHeaders=host;x-amz-date;x-amz-target, Signature=00",
            )
            .body(Full::from(body.to_string()))
            .unwrap();
        let answer = async {
            let response = self.client.request(request).await.map_err(|error| format!("{error:?}"))?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
            // An operation that has nothing to say says nothing.
            let body = if body.is_empty() { Bytes::from_static(b"null") } else { body };
            let body = serde_json::from_slice(&body).map_err(|error| format!("{error}: {body:?}"))?;
            Ok((status, body))
        };
        tokio::time::timeout(Duration::from_secs(20), answer).await.map_err(|_| "no answer in time".to_owned())?
    }

    /// The answer of a call that must succeed.
    pub async fn ok(&self, operation: &str, body: Value) -> Value {
        let (status, answer) = self.call(operation, body).await.unwrap();
        assert_eq!(status, 200, "{operation}: {answer}");
        answer
    }

    /// A table with the partition key `Id` of type S.
    pub async fn create_table(&self, name: &str) {
        self.ok(
            "CreateTable",
            json!({
                "TableName": name,
                "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
                "BillingMode": "PAY_PER_REQUEST",
            }),
        )
        .await;
    }
}
