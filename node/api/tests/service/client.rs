//! A service in this process and a client of it.

use crate::{
    archive::MemoryArchive, catalog::MemoryCatalog, exporter::MemoryExports, importer::MemoryImports,
    partitions::MemoryPartitions, regions::MemoryRegions, signer::Signer,
};
use bytes::Bytes;
use cairn_api::{
    AccessKey, Api, ApiConfig, Authentication, Backends, Backups, Credentials, Environment, Exports, GlobalTables,
    Imports, Limits,
};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, StatusCode, client::conn::http1::SendRequest, header::HeaderName};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::TcpStream,
    sync::{Mutex, Notify},
    task::JoinHandle,
};

/// 2023-11-14T22:13:20Z.
pub(crate) const NOW_MS: u64 = 1_700_000_000_000;
pub(crate) const SIGNER: Signer =
    Signer { key_id: "AKIAGAME", secret: "open sesame", region: "east", date: "20231114T221320Z" };

struct FixedEnvironment(AtomicU64);

impl Environment for FixedEnvironment {
    fn wall_ms(&self) -> u64 {
        NOW_MS
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn unique_id(&self) -> [u8; 16] {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed)).to_be_bytes()
    }
}

struct OneKey;

impl Credentials for OneKey {
    fn access_key(&self, id: &str) -> Option<Arc<AccessKey>> {
        (id == SIGNER.key_id).then(|| Arc::new(AccessKey { account: "game".into(), secret: SIGNER.secret.into() }))
    }
}

/// A service on a socket of its own, for as long as this lives.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    /// Ends it; `serving` ends when its connections have.
    pub(crate) stop: Arc<Notify>,
    pub(crate) serving: JoinHandle<std::io::Result<()>>,
    pub(crate) catalog: Arc<MemoryCatalog>,
    pub(crate) partitions: Arc<MemoryPartitions>,
    pub(crate) archive: Arc<MemoryArchive>,
    pub(crate) exports: Arc<MemoryExports>,
    pub(crate) imports: Arc<MemoryImports>,
    pub(crate) regions: Arc<MemoryRegions>,
    pub(crate) registry: prometheus::Registry,
    connection: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answer {
    /// Null where there is nothing.
    pub(crate) fn json(&self) -> Value {
        if self.bytes.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("not JSON: {:?}", self.bytes))
    }

    /// The exception's short name and its text.
    pub(crate) fn error(&self) -> (String, String) {
        let json = self.json();
        let name = json["__type"].as_str().unwrap_or_else(|| panic!("no error: {json}"));
        let text = json["message"].as_str().or(json["Message"].as_str()).unwrap_or_default();
        (name.rsplit('#').next().unwrap().to_owned(), text.to_owned())
    }
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::start_with(ApiConfig::new("east"), Authentication::Verify(Arc::new(OneKey))).await
    }

    /// A service that keeps backups and knows other regions.
    pub(crate) async fn archived() -> Self {
        Self::start_on(ApiConfig::new("east"), Authentication::Verify(Arc::new(OneKey)), true).await
    }

    pub(crate) async fn start_with(config: ApiConfig, authentication: Authentication) -> Self {
        Self::start_on(config, authentication, false).await
    }

    async fn start_on(config: ApiConfig, authentication: Authentication, archived: bool) -> Self {
        let catalog = Arc::new(MemoryCatalog::default());
        let partitions = Arc::new(MemoryPartitions::default());
        let archive = Arc::new(MemoryArchive::new(catalog.clone()));
        let exports = Arc::new(MemoryExports::default());
        let imports = Arc::new(MemoryImports::new(catalog.clone()));
        let regions = Arc::new(MemoryRegions::default());
        let registry = prometheus::Registry::new();
        let backends = Backends {
            catalog: catalog.clone(),
            partitions: partitions.clone(),
            backups: archived.then(|| archive.clone() as Arc<dyn Backups>),
            exports: archived.then(|| exports.clone() as Arc<dyn Exports>),
            imports: archived.then(|| imports.clone() as Arc<dyn Imports>),
            global_tables: archived.then(|| regions.clone() as Arc<dyn GlobalTables>),
            authentication,
            environment: Arc::new(FixedEnvironment(AtomicU64::new(1))),
        };
        let api = Arc::new(Api::new(config, backends, &registry).unwrap());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let serving = tokio::spawn(cairn_api::serve(listener, api, async move { stopped.notified().await }));
        Self {
            address,
            stop,
            serving,
            catalog,
            partitions,
            archive,
            exports,
            imports,
            regions,
            registry,
            connection: Mutex::new(None),
        }
    }

    /// A service with the table `users`: partition key `Id` (S), sort key `Game` (N).
    pub(crate) async fn with_users() -> Self {
        let service = Self::start().await;
        service.create("users", &[("Id", "S"), ("Game", "N")]).await;
        service
    }

    pub(crate) async fn create(&self, name: &str, keys: &[(&str, &str)]) {
        let types = ["HASH", "RANGE"];
        let definitions: Vec<_> =
            keys.iter().map(|(name, kind)| json!({"AttributeName": name, "AttributeType": kind})).collect();
        let schema: Vec<_> =
            keys.iter().zip(types).map(|((name, _), kind)| json!({"AttributeName": name, "KeyType": kind})).collect();
        self.ok(
            "CreateTable",
            json!({
                "TableName": name, "AttributeDefinitions": definitions, "KeySchema": schema,
                "BillingMode": "PAY_PER_REQUEST"
            }),
        )
        .await;
    }

    pub(crate) async fn put(&self, item: Value) {
        self.ok("PutItem", json!({"TableName": "users", "Item": item})).await;
    }

    /// The answer of a call that must succeed.
    pub(crate) async fn ok(&self, operation: &str, body: Value) -> Value {
        let answer = self.call(operation, body.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{operation} {body}: {:?}", answer.bytes);
        answer.json()
    }

    /// The name and the text of the error of a call that must fail.
    pub(crate) async fn error(&self, operation: &str, body: Value) -> (String, String) {
        let answer = self.call(operation, body.to_string()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{operation} {body}: {:?}", answer.bytes);
        answer.error()
    }

    /// The text of a ValidationException.
    pub(crate) async fn invalid(&self, operation: &str, body: Value) -> String {
        let (name, text) = self.error(operation, body.clone()).await;
        assert_eq!(name, "ValidationException", "{operation} {body}: {text}");
        text
    }

    pub(crate) async fn call(&self, operation: &str, body: impl Into<Bytes>) -> Answer {
        self.call_with(operation, body.into(), &[]).await
    }

    /// As [`Self::call`], with more headers, which are not signed.
    pub(crate) async fn call_with(&self, operation: &str, body: Bytes, more: &[(&str, &str)]) -> Answer {
        let mut request = signed(&self.address.to_string(), operation, body);
        for (name, value) in more {
            request.headers_mut().append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        self.send(request).await
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let mut connection = self.connection.lock().await;
        let mut sender = match connection.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => connect(self.address).await,
        };
        sender.ready().await.unwrap();
        let response = sender.send_request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        *connection = Some(sender);
        Answer { status: parts.status, headers: parts.headers, bytes }
    }
}

/// Defaults, but for how many connections there may be at once.
pub(crate) fn connections_at_most(connections_max: usize) -> ApiConfig {
    ApiConfig { limits: Limits { connections_max, ..Limits::default() }, ..ApiConfig::new("east") }
}

/// The same for requests.
pub(crate) fn requests_at_most(requests_max: usize) -> ApiConfig {
    ApiConfig { limits: Limits { requests_max, ..Limits::default() }, ..ApiConfig::new("east") }
}

/// Takes whatever signature it is shown.
pub(crate) async fn lenient(config: ApiConfig) -> Service {
    Service::start_with(config, Authentication::AcceptAny { account: "local".into() }).await
}

/// A signed request of HTTP/1.1, for an operation by its name, or by its whole target where it is not one on tables.
pub(crate) fn signed(host: &str, operation: &str, body: Bytes) -> Request<Full<Bytes>> {
    let target = match operation.contains('.') {
        true => operation.to_owned(),
        false => format!("DynamoDB_20120810.{operation}"),
    };
    let mut headers: Vec<(String, String)> = vec![
        ("content-type".into(), "application/x-amz-json-1.0".into()),
        ("host".into(), host.into()),
        ("x-amz-date".into(), SIGNER.date.into()),
        ("x-amz-target".into(), target),
    ];
    let authorization = SIGNER.authorization(&headers, &body);
    headers.push(("authorization".into(), authorization));
    let mut request = Request::post("/");
    for (name, value) in &headers {
        request = request.header(name, value);
    }
    request.body(Full::new(body)).unwrap()
}

async fn connect(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender
}
