//! Connections by hand, as no client's library would use them.

use crate::client::Service;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The head of a ListTables that a lenient service takes, with a body of so many bytes.
pub(crate) fn head(body_bytes: usize) -> String {
    format!(
        "POST / HTTP/1.1\r\nhost: east\r\ncontent-type: application/x-amz-json-1.0\r\nx-amz-target: \
         DynamoDB_20120810.ListTables\r\nx-amz-date: 20200101T000000Z\r\nauthorization: AWS4-HMAC-SHA256 \
         Credential=x/20200101/y/dynamodb/aws4_request, SignedHeaders=host, Signature=0\r\n\
         content-length: {body_bytes}\r\n\r\n"
    )
}

/// What a client is told that sends this and reads nothing before all of it is sent.
pub(crate) async fn told(stream: &mut TcpStream, head: &str, body: &[u8]) -> String {
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// A client that sends a large body, all of it before it reads, hears that there is no room for it.
pub(crate) async fn a_large_body_is_throttled(service: &Service) {
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let answer = told(&mut stream, &head(8 << 20), &vec![b' '; 8 << 20]).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("ThrottlingException"), "{answer}");
}
