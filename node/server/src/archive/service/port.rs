//! `POST /v1/archive`, for the operator and the routers of the release: not even the node beside this archive may call it.

use super::ArchiveService;
use crate::internal::{
    listener::{Limits, Port, json},
    server::Callers,
};
use bytes::Bytes;
use cairn_model::{
    archive::{ArchiveAnswer, ArchiveCall, ArchiveRefusal},
    identity::Identity,
};
use http_body_util::Full;
use hyper::{Method, Response, http::request::Parts};
use std::sync::Arc;

pub(crate) struct ArchivePort {
    callers: Callers,
    service: Arc<ArchiveService>,
}

impl ArchivePort {
    pub(crate) fn new(callers: Callers, service: Arc<ArchiveService>) -> Self {
        Self { callers, service }
    }
}

impl Port for ArchivePort {
    const LIMITS: Limits = Limits { connections: 256, streams: 64, calls: 64, body_bytes: 1 << 20, ..Limits::OWN };

    fn allows(&self, caller: &Identity, method: &Method, path: &str) -> bool {
        method == Method::POST && path == "/v1/archive" && self.callers.is_of_release(caller)
    }

    async fn answer(&self, _caller: &Identity, _call: Parts, body: Bytes) -> Response<Full<Bytes>> {
        json(&match serde_json::from_slice::<ArchiveCall>(&body) {
            Ok(call) => self.service.answer(call).await,
            Err(error) => {
                let message = format!("the archive knows no such call, or is older than its caller: {error}");
                ArchiveAnswer::Refused { reason: ArchiveRefusal::Invalid, message }
            }
        })
    }
}
