//! The service: from an HTTP request to an operation and back.

use crate::{
    Authentication, Backups, Catalog, Environment, Exports, GlobalTables, Imports, Partitions, errors,
    http::{
        body::{self, BODY_BYTES_MAX, BodyError, Patience},
        coding::{Coding, undecodable},
        cors::Cors,
        head::{CONTENT_TYPES, host, name_host, reply_content_type},
        reply::{Reply, ReplyStyle, plain},
    },
    input::shape::serialization,
    memory::{
        Limits, ROOM_PATIENCE, Room,
        budget::{Budget, SMALL_BYTES},
    },
    metrics::{
        Metrics,
        tables::{RequestMeter, TableMeters},
    },
    operations::{self, Call, Missed},
    request_id::{RequestIds, is_retry},
    sigv4::{Claim, SignedParts, Verifier},
    transactions::{self, Finished},
};
use aws_lc_rs::digest;
use bytes::Bytes;
use cairn_model::{ErrorKind, ServiceError};
use hyper::{
    Method, Request, StatusCode, Version,
    body::Body,
    header::{CONNECTION, EXPECT, HeaderValue, ORIGIN},
    http::request::Parts,
};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What DynamoDB says where it is not spoken to in JSON, at `/`, with POST.
const NOT_FOUND: &[u8] = b"<UnknownOperationException/>\n";
/// How long a request waits for its place while there are as many as there may be.
const PLACE_PATIENCE: Duration = Duration::from_secs(5);

/// What an operator of the service can choose. [`ApiConfig::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// The region that signatures must name.
    pub region: String,
    /// What clients may make the process hold.
    pub limits: Limits,
    /// From a request's first byte to the end of its head; an idle connection is closed after it too.
    pub header_timeout: Duration,
    /// For the whole body.
    pub body_timeout: Duration,
    /// For a client that doesn't read its answer.
    pub write_timeout: Duration,
    /// Of a request, for room in memory that others hold; it holds none meanwhile, but a storage node holds what it read.
    pub room_timeout: Duration,
    /// For an operation, once its request is read; what it did is not known then.
    pub operation_timeout: Duration,
    /// The shortest span of an incremental export.
    pub export_span_min: Duration,
}

impl ApiConfig {
    pub fn new(region: impl Into<String>) -> Self {
        Self {
            region: region.into(),
            limits: Limits::default(),
            header_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            room_timeout: ROOM_PATIENCE,
            operation_timeout: Duration::from_secs(30),
            // DynamoDB's.
            export_span_min: Duration::from_secs(15 * 60),
        }
    }
}

/// What the service stands on.
#[derive(Clone)]
#[allow(missing_debug_implementations)]
pub struct Backends {
    pub catalog: Arc<dyn Catalog>,
    pub partitions: Arc<dyn Partitions>,
    /// None where no backups are kept.
    pub backups: Option<Arc<dyn Backups>>,
    /// None where no tables are exported.
    pub exports: Option<Arc<dyn Exports>>,
    /// None where nothing is imported.
    pub imports: Option<Arc<dyn Imports>>,
    /// None where there is no other region.
    pub global_tables: Option<Arc<dyn GlobalTables>>,
    pub authentication: Authentication,
    pub environment: Arc<dyn Environment>,
}

/// The service, shared by all its connections.
#[allow(missing_debug_implementations)]
pub struct Api {
    config: ApiConfig,
    backends: Backends,
    verifier: Verifier,
    bodies: Budget,
    answers: Budget,
    places: Arc<Semaphore>,
    waiting: Semaphore,
    cors: Cors,
    metrics: Metrics,
    tables: TableMeters,
    finished: Finished,
}

impl Api {
    /// Metrics go into `registry`.
    pub fn new(
        config: ApiConfig,
        backends: Backends,
        registry: &prometheus::Registry,
    ) -> Result<Self, prometheus::Error> {
        Ok(Self {
            verifier: Verifier::new(config.region.clone(), backends.authentication.clone()),
            bodies: body::budget(config.limits.body_bytes_max),
            answers: Budget::new(config.limits.answer_bytes_max, 0),
            places: Arc::new(Semaphore::new(config.limits.requests_max)),
            waiting: Semaphore::new(config.limits.waiting_max()),
            cors: Cors::of(&backends.authentication),
            metrics: Metrics::new(registry)?,
            tables: TableMeters::new(backends.catalog.clone(), registry)?,
            finished: Finished::default(),
            config,
            backends,
        })
    }

    /// Ends transactions whose coordinator is gone and whom nobody meets, until it is dropped.
    pub async fn end_left_transactions(&self) -> Infallible {
        transactions::end_left_behind(&self.backends, &self.finished).await
    }

    pub(crate) fn config(&self) -> &ApiConfig {
        &self.config
    }

    /// A request's place among all that are under way; none where it would wait for too long, or too many do.
    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        // Mostly there is one at once, and no timer is needed.
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Some(place);
        }
        let _place_to_wait = self.waiting.try_acquire().ok()?;
        let waiting = tokio::time::timeout(PLACE_PATIENCE, self.places.clone().acquire_owned());
        waiting.await.ok()?.ok()
    }

    /// What a request that has no place is told.
    pub(crate) async fn overloaded<B>(&self, request: Request<B>) -> Reply
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (parts, mut body) = request.into_parts();
        let request_id = self.backends.environment.unique_id();
        let style = ReplyStyle { content_type: CONTENT_TYPES[0], coding: None, request_id };
        self.without_body(style.failure(&errors::overloaded()).await, &parts, &mut body).await
    }

    /// What a request is told that has more headers than any may have.
    pub(crate) fn too_many_headers(&self) -> Reply {
        let request_id = self.backends.environment.unique_id();
        plain(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, None, Vec::new(), &request_id)
    }

    pub(crate) async fn answer<B>(&self, request: Request<B>) -> Reply
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (mut parts, mut body) = request.into_parts();
        name_host(&mut parts);
        let allowed = self.cors.allowed(&parts.headers);
        let request_id = self.backends.environment.unique_id();
        let mut reply = match &allowed {
            Some(allowed) if parts.method == Method::OPTIONS => {
                let reply = allowed.preflight(&parts.headers, &request_id);
                self.without_body(reply, &parts, &mut body).await
            }
            // Its name may have become one of this machine, and then its browser lets it read the answer.
            None if parts.method == Method::POST && parts.headers.contains_key(ORIGIN) => {
                let style = ReplyStyle { content_type: CONTENT_TYPES[0], coding: None, request_id };
                let reply = style.failure(&errors::foreign_page()).await;
                self.without_body(reply, &parts, &mut body).await
            }
            _ => self.answer_as(request_id, &parts, body).await,
        };
        if let Some(allowed) = allowed {
            allowed.mark(&mut reply);
        }
        reply
    }

    async fn answer_as<B>(&self, request_id: [u8; 16], parts: &Parts, mut body: B) -> Reply
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let environment = self.backends.environment.as_ref();
        if parts.method == Method::GET && parts.uri.path() == "/" {
            let health = format!("healthy: {} ", host(&parts.headers));
            let reply = plain(StatusCode::OK, None, health.into_bytes(), &request_id);
            return self.without_body(reply, parts, &mut body).await;
        }
        let content_type = reply_content_type(&parts.headers, body.is_end_stream());
        let (Some(content_type), true) = (content_type, parts.method == Method::POST && parts.uri.path() == "/") else {
            let reply = plain(StatusCode::NOT_FOUND, None, NOT_FOUND.to_vec(), &request_id);
            return self.without_body(reply, parts, &mut body).await;
        };
        let style = ReplyStyle::of(&parts.headers, content_type, request_id);
        let target = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
        let Some(index) = target.and_then(operations::find) else {
            let reply = style.failure(&ServiceError::new(ErrorKind::UnknownOperationException, "")).await;
            return self.without_body(reply, parts, &mut body).await;
        };
        let started = environment.monotonic();
        let signed = SignedParts { method: &parts.method, uri: &parts.uri, headers: &parts.headers };
        let claim = match self.verifier.claim(signed, environment.wall_ms()) {
            Ok(claim) => claim,
            Err(error) => {
                self.metrics.record(index, Duration::ZERO, Some(error.kind));
                return self.without_body(style.failure(&error).await, parts, &mut body).await;
            }
        };
        let meter = self.tables.request(index);
        let room = Room::new(&self.answers, self.config.room_timeout);
        let result = self.run(index, parts, &claim, &mut body, &meter, &room).await;
        let took = environment.monotonic().saturating_sub(started);
        let failed = result.as_ref().err().map(|error| error.kind);
        self.metrics.record(index, took, failed);
        meter.end(claim.account(), took, failed);
        let mut reply = match result {
            Ok(content) => style.success(content).await,
            Err(error) => {
                if error.kind == ErrorKind::InternalServerError {
                    tracing::warn!(operation = operations::OPERATIONS[index].name, %error, "failed to serve a request");
                }
                style.failure(&error).await
            }
        };
        reply.body_mut().keep(room);
        // Its body may be what there was no room for.
        if failed.is_some_and(errors::is_overload) { self.without_body(reply, parts, &mut body).await } else { reply }
    }

    /// The answer to a request whose body was not read: its connection goes on, or the client is told that it doesn't.
    async fn without_body<B>(&self, mut reply: Reply, parts: &Parts, body: &mut B) -> Reply
    where
        B: Body<Data = Bytes> + Unpin,
    {
        // With HTTP/2 the rest of it is refused alone, at once: a client could open many and send nothing.
        if parts.version == Version::HTTP_2 {
            return reply;
        }
        // Who asks first is told before it sends much.
        let bytes_max = if parts.headers.contains_key(EXPECT) { SMALL_BYTES } else { BODY_BYTES_MAX };
        if !body::skip(body, bytes_max, Patience::for_body(self.config.body_timeout)).await {
            reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        reply
    }

    async fn run<B>(
        &self,
        index: usize,
        parts: &Parts,
        claim: &Claim,
        body: &mut B,
        meter: &RequestMeter<'_>,
        room: &Room,
    ) -> Result<Vec<u8>, ServiceError>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let signed = SignedParts { method: &parts.method, uri: &parts.uri, headers: &parts.headers };
        let patience = Patience::for_body(self.config.body_timeout);
        let sent = body::read(body, &self.bodies, patience).await.map_err(body_error)?;
        if claim.is_signed() {
            self.verifier.verify(claim, signed, &digest::digest(&digest::SHA256, &sent.bytes))?;
        }
        let unpacked = match Coding::of_request(&parts.headers)? {
            Some(coding) => Some(coding.unpack(sent.bytes.clone(), &self.bodies, patience).await.map_err(body_error)?),
            None => None,
        };
        let content = unpacked.as_ref().map_or(&sent.bytes, |unpacked| &unpacked.bytes);
        if content.is_empty() {
            return Err(serialization(""));
        }
        room.make_to_read(content).await?;
        let operation = &operations::OPERATIONS[index];
        let call = Call {
            catalog: self.backends.catalog.as_ref(),
            partitions: self.backends.partitions.as_ref(),
            room,
            backups: self.backends.backups.as_deref(),
            exports: self.backends.exports.as_deref(),
            export_span_min: self.config.export_span_min,
            imports: self.backends.imports.as_deref(),
            global_tables: self.backends.global_tables.as_deref(),
            host: host(&parts.headers),
            account: claim.account(),
            region: &self.config.region,
            body: content,
            request_ids: RequestIds {
                environment: self.backends.environment.as_ref(),
                account: claim.account(),
                operation: operation.name,
                invocation_id: parts.headers.get("amz-sdk-invocation-id").map(|value| value.as_bytes()),
                body: &sent.bytes,
                is_retry: parts.headers.get("amz-sdk-request").is_some_and(|value| is_retry(value.as_bytes())),
            },
            meter,
            missed: &Missed::default(),
            finished: &self.finished,
        };
        let running = tokio::time::timeout(self.config.operation_timeout, operation.run(&call));
        running.await.unwrap_or_else(|_| Err(errors::internal()))
    }
}

fn body_error(error: BodyError) -> ServiceError {
    match error {
        BodyError::TooLarge => ServiceError::new(
            ErrorKind::RequestEntityTooLarge,
            "Request size exceeded the maximum allowed size of 16 MB",
        ),
        BodyError::Interrupted => serialization("The request's body did not arrive"),
        BodyError::BadCoding => undecodable(),
        BodyError::Overloaded => errors::overloaded(),
    }
}
