//! What stands between a connection and the HTTP on it: TLS, or nothing.

use std::{future::Future, io};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

/// Made with every client before its first request. It bounds its own time.
pub trait Handshake: Send + Sync + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn shake(&self, stream: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// HTTP as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plaintext;

impl Handshake for Plaintext {
    type Stream = TcpStream;

    async fn shake(&self, stream: TcpStream) -> io::Result<TcpStream> {
        Ok(stream)
    }
}
