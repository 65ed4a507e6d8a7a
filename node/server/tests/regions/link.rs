//! The way to one region's port for peers, that can be cut.

use std::net::SocketAddr;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

pub struct Link {
    pub address: SocketAddr,
    is_whole: watch::Sender<bool>,
}

impl Link {
    /// To `target`, from an address of its own.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let is_whole = watch::Sender::new(true);
        let mut whole = is_whole.subscribe();
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                if !*whole.borrow_and_update() {
                    continue;
                }
                let mut whole = whole.clone();
                tokio::spawn(async move {
                    let mut to = TcpStream::connect(target).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
                        _ = whole.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
        Self { address, is_whole }
    }

    /// Ends what there is; whoever connects from now on is dropped.
    pub fn cut(&self) {
        self.is_whole.send_replace(false);
    }

    pub fn heal(&self) {
        self.is_whole.send_replace(true);
    }
}
