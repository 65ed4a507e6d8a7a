//! What a router does when a storage node's answer does not come, or says that nobody knows.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod support;

use bytes::Bytes;
use cairn_api::{Partitions, Room, RoutingKey};
use cairn_model::{
    AttributeValue, ErrorKind, Item, ServiceError,
    codec::EncodedItem,
    descriptor::{KeyRange, Member, MemberRole, PartitionDescriptor},
    ids::{NodeId, PartitionId, ReplicaId, RequestId, TableId},
    key::EncodedKey,
    node::{NodeReport, ReplicaReport, ReplicaState},
    time::Timestamp,
};
use cairn_replication::{
    operation::{
        GetOutcome, GetRequest, PartitionError, PartitionOutcome, PartitionRequest, ReturnValues, WriteAction,
        WriteOutcome, WriteRequest,
    },
    transaction::{TransactOutcome, TransactRequest, TransactStep, TransactionId},
    wire::{self, PartitionAnswer},
};
use cairn_server::router::{fleet::Fleet, nodes::Nodes, partitions::RemotePartitions};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::json;
use std::{convert::Infallible, path::Path, sync::Arc, time::Duration};
use support::group::{ACCOUNT, GROUP, client, definition, issuer, view, write_certificate};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const TABLE: TableId = TableId([7; 16]);
const REQUEST: RequestId = RequestId([42; 16]);
/// In the place of a read's, which has none.
const READ: RequestId = RequestId([0; 16]);

/// What the node does with one call.
#[derive(Clone)]
enum Reaction {
    /// It may have done it, and never says.
    Silence,
    /// It is of a version that does not know this form of a request.
    CannotRead,
    Answers(PartitionAnswer),
}

/// A router with one storage node that is none: it reacts as it was told, and remembers what it was asked.
struct Setting {
    router: RemotePartitions,
    asked: Arc<Mutex<Vec<RequestId>>>,
    _folder: TempDir,
}

impl Setting {
    /// The last reaction is that to all further calls.
    async fn new(reactions: Vec<Reaction>) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let issuer = issuer();
        write_certificate(&folder.path().join("storage"), &issuer, "cairn://east/game/default/storage");
        write_certificate(&folder.path().join("router"), &issuer, "cairn://east/cairn-system/-/router");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::default();
        let node = Node { address: address.clone(), reactions: Arc::new(reactions), asked: Arc::clone(&asked) };
        tokio::spawn(node.serve(listener, acceptor(&folder.path().join("storage"))));
        let fleet = Arc::new(Fleet::default());
        let groups = json!({"version": 1, "groups": [{"account": ACCOUNT, "group": GROUP, "nodes": [{"address": address, "zone": "z"}]}]});
        fleet.update(br#"{"version": 1}"#, groups.to_string().as_bytes()).unwrap();
        let client = client(&folder.path().join("router"));
        let nodes = Nodes::new(client.clone(), fleet, folder.path());
        tokio::spawn(nodes.clone().run());
        Self { router: RemotePartitions::new(client, nodes, None), asked, _folder: folder }
    }

    async fn put(&self) -> Result<PartitionOutcome, ServiceError> {
        self.put_in(&Room::within(usize::MAX / 8)).await
    }

    async fn put_in(&self, room: &Room) -> Result<PartitionOutcome, ServiceError> {
        let (item, key) = (ada(), key());
        let write = WriteRequest {
            request_id: REQUEST,
            key: key.clone(),
            action: WriteAction::Put(EncodedItem::encode(&item)),
            condition: None,
            return_values: ReturnValues::None,
            return_item_on_condition_failure: false,
        };
        self.ask(&key, PartitionRequest::Write(write), room).await
    }

    async fn get_in(&self, room: &Room) -> Result<PartitionOutcome, ServiceError> {
        let key = key();
        let get = GetRequest { keys: vec![key.clone()], projection: None, consistent: true };
        self.ask(&key, PartitionRequest::Get(get), room).await
    }

    async fn ask(
        &self,
        key: &EncodedKey,
        request: PartitionRequest,
        room: &Room,
    ) -> Result<PartitionOutcome, ServiceError> {
        self.router.request(&view(definition(TABLE)), RoutingKey(&key.0), request, room).await
    }
}

fn ada() -> Item {
    Item::from([("Id".to_owned(), AttributeValue::S("ada".to_owned()))])
}

fn key() -> EncodedKey {
    EncodedKey::new(&definition(TABLE).key_schema, &ada()).unwrap()
}

fn acceptor(folder: &Path) -> TlsAcceptor {
    let certificates = CertificateDer::pem_file_iter(folder.join("tls.crt")).unwrap().map(|pem| pem.unwrap()).collect();
    let key = PrivateKeyDer::from_pem_file(folder.join("tls.key")).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[derive(Clone)]
struct Node {
    address: String,
    reactions: Arc<Vec<Reaction>>,
    asked: Arc<Mutex<Vec<RequestId>>>,
}

impl Node {
    async fn serve(self, listener: TcpListener, acceptor: TlsAcceptor) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (node, acceptor) = (self.clone(), acceptor.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(move |request| {
                    let node = node.clone();
                    async move { Ok::<_, Infallible>(node.answer(request).await) }
                });
                let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.uri().path() == "/v1/node" {
            return Response::new(Full::from(serde_json::to_vec(&self.report()).unwrap()));
        }
        let call = wire::decode_call(request.into_body().collect().await.unwrap().to_bytes()).unwrap();
        let request_id = match call.request {
            PartitionRequest::Write(write) => write.request_id,
            PartitionRequest::Get(_) => READ,
            PartitionRequest::Transact(step) => step.request_id,
            PartitionRequest::Range(_)
            | PartitionRequest::Stream(_)
            | PartitionRequest::TransactGet(_)
            | PartitionRequest::Feed(_) => {
                panic!("not asked for here")
            }
        };
        let reaction = {
            let mut asked = self.asked.lock();
            asked.push(request_id);
            self.reactions[(asked.len() - 1).min(self.reactions.len() - 1)].clone()
        };
        match reaction {
            Reaction::Silence => std::future::pending().await,
            Reaction::CannotRead => {
                let mut response = Response::new(Full::from("failed to read a message"));
                *response.status_mut() = StatusCode::BAD_REQUEST;
                response
            }
            Reaction::Answers(answer) => Response::new(Full::from(wire::encode_answer(&answer))),
        }
    }

    fn report(&self) -> NodeReport {
        let node_id = NodeId([1; 16]);
        let member = Member {
            replica_id: ReplicaId(1),
            node_id,
            zone: "z".to_owned(),
            address: self.address.clone(),
            role: MemberRole::Voter,
        };
        let descriptor = PartitionDescriptor::first(PartitionId([8; 16]), TABLE, KeyRange::default(), vec![member]);
        let replica = ReplicaReport::new(ReplicaId(1), ReplicaState::Leader, descriptor, definition(TABLE));
        NodeReport {
            node_id,
            region: "east".to_owned(),
            account: ACCOUNT.to_owned(),
            group: GROUP.to_owned(),
            zone: "z".to_owned(),
            version: "0".to_owned(),
            replicas: vec![replica],
            disk_free_bytes: 1,
            disk_total_bytes: 1,
            disk_full: false,
            retired: Vec::new(),
            consumption: None,
        }
    }
}

fn done() -> Reaction {
    Reaction::Answers(Ok(PartitionOutcome::Write(WriteOutcome {
        attributes: None,
        size_before: 0,
        size_after: 5,
        indexes: vec![],
        collection_bytes: None,
    })))
}

fn unknown() -> Reaction {
    Reaction::Answers(Err(PartitionError::Unknown { reason: "its leader died".to_owned() }))
}

/// "A router retries only under the same request id."
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_may_have_been_done_is_tried_again_under_its_own_request_id() {
    let setting = Setting::new(vec![unknown(), Reaction::Silence, unknown(), done()]).await;
    setting.put().await.unwrap();
    assert_eq!(*setting.asked.lock(), [REQUEST; 4]);
}

/// "Where it can't know, it answers 500 and leaves the retry to the SDK."
#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_which_nobody_knows_ends_as_an_internal_error() {
    let setting = Setting::new(vec![unknown()]).await;
    let answered = tokio::time::timeout(Duration::from_secs(15), setting.put()).await.expect("every wait has a limit");
    assert_eq!(answered.unwrap_err().kind, ErrorKind::InternalServerError);
    assert!(setting.asked.lock().iter().all(|id| *id == REQUEST));
}

/// What the attempt before it does when it arrives is not known: that one may meet no lock.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_meets_a_lock_was_not_done_only_if_nothing_was_tried_before() {
    let locked = || Reaction::Answers(Ok(PartitionOutcome::Locked(Vec::new())));
    let setting = Setting::new(vec![locked()]).await;
    assert_eq!(setting.put().await, Ok(PartitionOutcome::Locked(Vec::new())));
    let setting = Setting::new(vec![unknown(), locked()]).await;
    assert_eq!(setting.put().await.unwrap_err().kind, ErrorKind::InternalServerError);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_of_a_transaction_is_tried_again_under_its_own_request_id() {
    let aborted = Reaction::Answers(Ok(PartitionOutcome::Transact(TransactOutcome::Aborted)));
    let setting = Setting::new(vec![unknown(), aborted]).await;
    let step = TransactRequest {
        request_id: REQUEST,
        transaction: TransactionId([7; 16]),
        step: TransactStep::Abort { age_ms_min: 0 },
    };
    let room = Room::within(usize::MAX / 8);
    setting.ask(&key(), PartitionRequest::Transact(step), &room).await.unwrap();
    assert_eq!(*setting.asked.lock(), [REQUEST; 2]);
}

/// Under another request id: what the node keeps under the first, a neighbour of a newer version may have written.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_know_of_times_is_asked_as_it_can_read_it() {
    let committed = PartitionOutcome::Transact(TransactOutcome::Committed(Vec::new()));
    let setting = Setting::new(vec![Reaction::CannotRead, Reaction::Answers(Ok(committed.clone()))]).await;
    let step = TransactStep::CommitDecided { decided_at: Timestamp(1) };
    let step = TransactRequest { request_id: REQUEST, transaction: TransactionId([7; 16]), step };
    let room = Room::within(usize::MAX / 8);
    assert_eq!(setting.ask(&key(), PartitionRequest::Transact(step), &room).await, Ok(committed));
    let asked = setting.asked.lock();
    assert_eq!((asked.len(), asked[0]), (2, REQUEST));
    assert_ne!(asked[1], REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_not_done_ends_as_unavailable() {
    let nobody_leads = Reaction::Answers(Err(PartitionError::NotLeader { leader: None }));
    let setting = Setting::new(vec![nobody_leads]).await;
    let answered = tokio::time::timeout(Duration::from_secs(15), setting.put()).await.expect("every wait has a limit");
    assert_eq!(answered.unwrap_err().kind, ErrorKind::ServiceUnavailable);
}

/// An item of 300 KB.
fn large() -> EncodedItem {
    let text = AttributeValue::S("x".repeat(300_000));
    EncodedItem::encode(&Item::from([("Text".to_owned(), text)]))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_for_which_there_is_no_room_is_not_taken_and_its_node_not_blamed() {
    let found = GetOutcome { items: vec![Some((large(), 300_000))] };
    let setting = Setting::new(vec![Reaction::Answers(Ok(PartitionOutcome::Get(found)))]).await;
    let room = Room::within(1 << 20);
    setting.get_in(&room).await.unwrap();
    assert_eq!(setting.get_in(&room).await.unwrap_err().kind, ErrorKind::ThrottlingException);
    drop(room);
    setting.get_in(&Room::within(1 << 20)).await.unwrap();
    assert_eq!(*setting.asked.lock(), [READ; 3]);
}

/// It has been done: the answer is the one that its node keeps for whoever asks again.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_finds_no_room_is_asked_for_again() {
    let with_attributes = Reaction::Answers(Ok(PartitionOutcome::Write(WriteOutcome {
        attributes: Some(large()),
        size_before: 300_000,
        size_after: 5,
        indexes: vec![],
        collection_bytes: None,
    })));
    let setting = Setting::new(vec![with_attributes.clone(), with_attributes, done()]).await;
    let room = Room::within(1 << 20);
    setting.put_in(&room).await.unwrap();
    setting.put_in(&room).await.unwrap();
    assert_eq!(*setting.asked.lock(), [REQUEST; 3]);
}
