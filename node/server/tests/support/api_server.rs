//! An API server as far as the router needs one: objects in memory, got, listed, created, applied and deleted over HTTP.

use cairn_model::ids::TableId;
use cairn_server::{environment::wall_ms, router::writes::client};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, StatusCode, body::Bytes, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use k8s_openapi::jiff::Timestamp;
use kube::{Client, Config};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use tokio::net::TcpListener;

/// By the plural of their kind, and their names; all are of one namespace.
type Objects = BTreeMap<(String, String), Value>;

/// What somebody else does.
type Deed = Box<dyn FnOnce(&ApiServer) + Send>;

#[derive(Clone, Default)]
pub struct ApiServer {
    objects: Arc<Mutex<Objects>>,
    /// What is applied from now on and meets a conflict.
    conflicts: Arc<AtomicUsize>,
    /// How often single objects were asked for.
    got: Arc<AtomicUsize>,
    /// Of any object, the last.
    version: Arc<AtomicUsize>,
    /// It answers nothing but errors.
    broken: Arc<AtomicBool>,
    /// What comes before the next object that is created or applied.
    before: Arc<Mutex<Option<Deed>>>,
    /// Of the next object that is created or applied the answer is lost.
    loses_answer: Arc<AtomicBool>,
}

impl ApiServer {
    pub async fn start() -> (Self, Client) {
        let server = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(server.clone().serve(listener));
        (server, client(Config::new(url.parse().unwrap())).unwrap())
    }

    /// Lets somebody else be the first, when an object is created or applied next.
    pub fn overtake(&self, deed: impl FnOnce(&Self) + Send + 'static) {
        *self.before.lock() = Some(Box::new(deed));
    }

    /// The next object that is created or applied is so, and who did it is not told.
    pub fn lose_the_next_answer(&self) {
        self.loses_answer.store(true, Ordering::Relaxed);
    }

    /// Answers so many of the next manifests that are applied as if somebody else had written just before.
    pub fn conflict(&self, count: usize) {
        self.conflicts.store(count, Ordering::Relaxed);
    }

    /// From now on it answers with errors, or does so no more.
    pub fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::Relaxed);
    }

    fn next_version(&self) -> String {
        (self.version.fetch_add(1, Ordering::Relaxed) + 1).to_string()
    }

    /// How often it was asked for a single object.
    pub fn got(&self) -> usize {
        self.got.load(Ordering::Relaxed)
    }

    pub fn all(&self, plural: &str) -> Vec<Value> {
        self.objects.lock().iter().filter(|((of, _), _)| of == plural).map(|(_, object)| object.clone()).collect()
    }

    /// The only object of its kind.
    pub fn one(&self, plural: &str) -> Value {
        let all = self.all(plural);
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    pub fn get(&self, plural: &str, name: &str) -> Option<Value> {
        self.objects.lock().get(&(plural.to_owned(), name.to_owned())).cloned()
    }

    /// Makes an object, or changes it, as whoever is named, whose all that is in it is then.
    pub fn put(&self, plural: &str, name: &str, object: Value, manager: &str) -> Value {
        let own = managed(manager, &object["spec"]);
        self.store(plural, name, object, own)
    }

    /// `own`: which fields are whose that stores it.
    fn store(&self, plural: &str, name: &str, mut object: Value, own: Value) -> Value {
        let mut objects = self.objects.lock();
        let key = (plural.to_owned(), name.to_owned());
        let old = objects.get(&key).map(|old| old["metadata"].clone());
        let metadata = object["metadata"].as_object_mut().unwrap();
        match &old {
            Some(old) => {
                *metadata = old.as_object().unwrap().clone();
                let entries = metadata["managedFields"].as_array_mut().unwrap();
                entries.retain(|entry| entry["manager"] != own["manager"]);
                entries.push(own);
            }
            None => {
                let now = Timestamp::from_millisecond(wall_ms() as i64).unwrap();
                let made = json!(now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
                metadata.entry("creationTimestamp").or_insert(made);
                metadata.insert("uid".into(), json!(uuid::Uuid::new_v4().to_string()));
                metadata.insert("name".into(), json!(name));
                metadata.insert("namespace".into(), json!("game"));
                metadata.insert("managedFields".into(), json!([own]));
            }
        }
        let generation = old.map_or(0, |old| old["generation"].as_u64().unwrap()) + 1;
        object["metadata"]["generation"] = json!(generation);
        object["metadata"]["resourceVersion"] = json!(self.next_version());
        objects.insert(key, object.clone());
        object
    }

    pub fn remove(&self, plural: &str, name: &str) {
        self.objects.lock().remove(&(plural.to_owned(), name.to_owned()));
    }

    /// Applies a manifest, whose lists of maps, where it has any, are merged by their keys.
    fn apply(&self, plural: &str, name: &str, mut sent: Value, manager: &str) -> Value {
        let Some(mut changed) = self.get(plural, name) else { return self.put(plural, name, sent, manager) };
        let own = managed(manager, &sent["spec"]);
        let entries = changed["metadata"]["managedFields"].as_array().unwrap().clone();
        for (list, key) in KEYED_LISTS {
            let Some(present) = changed["spec"][list].as_array() else { continue };
            let owned = |element: &Value| {
                let field = key_field(key, element);
                let mut of_manager = entries.iter().filter(|entry| entry["manager"] == manager);
                of_manager.any(|entry| entry["fieldsV1"]["f:spec"][format!("f:{list}")].get(&field).is_some())
            };
            let named = sent["spec"][list].as_array().cloned().unwrap_or_default();
            let is_sent = |element: &Value| named.iter().any(|sent| sent[key] == element[key]);
            let others = present.iter().filter(|element| !owned(element) && !is_sent(element));
            let merged: Vec<Value> = named.iter().chain(others).cloned().collect();
            if !merged.is_empty() {
                sent["spec"][list] = json!(merged);
            }
        }
        changed["spec"] = sent["spec"].clone();
        self.store(plural, name, changed, own)
    }

    /// Why a manifest with this metadata is not applied. Of an object that is not there a version says nothing: it is made; one that
    /// is there has no version 0, and whoever made it owns fields that are looked at before.
    fn refusal(&self, plural: &str, name: &str, sent: &Value, manager: &str) -> Option<Response<Full<Bytes>>> {
        let Some(present) = self.get(plural, name) else {
            return (!sent["uid"].is_null()).then(|| failure(StatusCode::CONFLICT));
        };
        let present = &present["metadata"];
        match sent["resourceVersion"].as_str() {
            Some("0") if present["managedFields"][0]["manager"] != manager => {
                Some(failure_by(StatusCode::CONFLICT, "FieldManagerConflict", ".spec.keySchema"))
            }
            Some("0") => {
                Some(failure_by(StatusCode::UNPROCESSABLE_ENTITY, "FieldValueInvalid", "metadata.resourceVersion"))
            }
            Some(version) if present["resourceVersion"] != version => Some(failure(StatusCode::CONFLICT)),
            _ if !sent["uid"].is_null() && sent["uid"] != present["uid"] => {
                Some(failure_by(StatusCode::UNPROCESSABLE_ENTITY, "FieldValueInvalid", "metadata.uid"))
            }
            _ => None,
        }
    }

    /// The answer of what is done, unless it is lost.
    fn done(&self, object: &Value) -> Response<Full<Bytes>> {
        if self.loses_answer.swap(false, Ordering::Relaxed) {
            return failure(StatusCode::GATEWAY_TIMEOUT);
        }
        reply(StatusCode::OK, object)
    }

    /// Begins to delete an object that a finalizer keeps.
    pub fn set_deleting(&self, plural: &str, name: &str) {
        let mut objects = self.objects.lock();
        let object = objects.get_mut(&(plural.to_owned(), name.to_owned())).unwrap();
        object["metadata"]["deletionTimestamp"] = json!("2026-01-02T00:00:00Z");
        object["metadata"]["resourceVersion"] = json!(self.next_version());
    }

    /// Writes a status, as the operator does.
    pub fn set_status(&self, plural: &str, name: &str, status: Value) {
        let mut objects = self.objects.lock();
        let object = objects.get_mut(&(plural.to_owned(), name.to_owned())).unwrap();
        object["status"] = status;
        object["metadata"]["resourceVersion"] = json!(self.next_version());
    }

    async fn serve(self, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let server = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let server = server.clone();
                    async move { Ok::<_, Infallible>(server.answer(request).await) }
                });
                let http = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let of_cairn = path.strip_prefix("/apis/cairn.dev/v1alpha1/namespaces/game/");
        let path = of_cairn.or_else(|| path.strip_prefix("/api/v1/namespaces/game/")).unwrap().to_owned();
        let manager =
            parts.uri.query().unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("fieldManager="));
        let manager = manager.unwrap_or("unknown").to_owned();
        let body = body.collect().await.unwrap().to_bytes();
        let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
        let (plural, name) = path.split_once('/').map_or((&*path, None), |(plural, name)| (plural, Some(name)));
        if self.broken.load(Ordering::Relaxed) {
            return failure(StatusCode::INTERNAL_SERVER_ERROR);
        }
        if matches!(parts.method, Method::POST | Method::PATCH) {
            let deed = self.before.lock().take();
            deed.into_iter().for_each(|deed| deed(self));
        }
        match (parts.method, name) {
            (Method::GET, None) => {
                let list = json!({"kind": "List", "apiVersion": "cairn.dev/v1alpha1", "metadata": {}, "items": self.all(plural)});
                reply(StatusCode::OK, &list)
            }
            (Method::POST, None) => {
                let name = sent["metadata"]["name"].as_str().unwrap().to_owned();
                if self.get(plural, &name).is_some() {
                    return failure(StatusCode::CONFLICT);
                }
                self.done(&self.put(plural, &name, sent, &manager))
            }
            (Method::PATCH, Some(name)) => {
                let fails =
                    self.conflicts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
                if fails.is_ok() {
                    return failure(StatusCode::CONFLICT);
                }
                match self.refusal(plural, name, &sent["metadata"], &manager) {
                    Some(refusal) => refusal,
                    None => self.done(&self.apply(plural, name, sent, &manager)),
                }
            }
            (Method::GET, Some(name)) => {
                self.got.fetch_add(1, Ordering::Relaxed);
                match self.get(plural, name) {
                    Some(object) => reply(StatusCode::OK, &object),
                    None => failure_of(name, StatusCode::NOT_FOUND),
                }
            }
            (Method::DELETE, Some(name)) => {
                let mut objects = self.objects.lock();
                let key = (plural.to_owned(), name.to_owned());
                let Some(object) = objects.get(&key) else { return failure(StatusCode::NOT_FOUND) };
                let expected = &sent["preconditions"];
                let is = |field: &str| expected[field].is_null() || expected[field] == object["metadata"][field];
                if !is("uid") || !is("resourceVersion") {
                    return failure(StatusCode::CONFLICT);
                }
                reply(StatusCode::OK, &objects.remove(&key).unwrap())
            }
            (method, _) => panic!("{method} {path}"),
        }
    }
}

/// An ACTIVE table with the partition key `Id`, with more in its spec and its status.
pub fn active_table(table_id: TableId, spec: Value, status: Value) -> Value {
    let mut table = json!({
        "apiVersion": "cairn.dev/v1alpha1", "kind": "Table", "metadata": {},
        "spec": {
            "attributeDefinitions": [{"attributeName": "Id", "attributeType": "S"}],
            "keySchema": [{"attributeName": "Id", "keyType": "HASH"}],
            "billingMode": "PAY_PER_REQUEST",
        },
        "status": {
            "tableStatus": "ACTIVE", "tableId": table_id.to_string(), "creationDateTime": "2026-01-01T00:00:00Z",
            "itemCount": 3, "tableSizeBytes": 30,
        },
    });
    for (part, more) in [("spec", spec), ("status", status)] {
        table[part].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }
    table
}

/// The lists of a spec whose elements have owners of their own, and the elements' keys.
const KEYED_LISTS: [(&str, &str); 4] = [
    ("replicas", "regionName"),
    ("tags", "key"),
    ("attributeDefinitions", "attributeName"),
    ("globalSecondaryIndexes", "indexName"),
];

fn key_field(key: &str, element: &Value) -> String {
    format!("k:{}", json!({key: element[key]}))
}

/// What a manager owns of this spec: all of it, lists of maps by their keys, and auto-scaling by its fields.
fn managed(manager: &str, spec: &Value) -> Value {
    let mut fields = json!({});
    for (list, key) in KEYED_LISTS {
        for element in spec[list].as_array().into_iter().flatten() {
            fields[format!("f:{list}")][key_field(key, element)] = json!({".": {}});
        }
    }
    for (field, _) in spec["autoScaling"].as_object().into_iter().flatten() {
        fields["f:autoScaling"][format!("f:{field}")] = json!({});
    }
    json!({"manager": manager, "fieldsV1": {"f:spec": fields}})
}

fn failure(code: StatusCode) -> Response<Full<Bytes>> {
    failure_of("", code)
}

/// Of an object by name.
fn failure_of(name: &str, code: StatusCode) -> Response<Full<Bytes>> {
    failure_with(code, json!({"name": name}))
}

/// By one of the object's fields.
fn failure_by(code: StatusCode, reason: &str, field: &str) -> Response<Full<Bytes>> {
    failure_with(code, json!({"causes": [{"reason": reason, "message": reason, "field": field}]}))
}

fn failure_with(code: StatusCode, details: Value) -> Response<Full<Bytes>> {
    let reason = code.canonical_reason().unwrap().replace(' ', "");
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason, "reason": reason,
        "details": details, "code": code.as_u16(),
    });
    reply(code, &status)
}

fn reply(code: StatusCode, object: &Value) -> Response<Full<Bytes>> {
    Response::builder()
        .status(code)
        .header("content-type", "application/json")
        .body(Full::from(object.to_string()))
        .unwrap()
}
