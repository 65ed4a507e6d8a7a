//! The admin port: health, readiness and metrics, over plain HTTP, for kubelets and Prometheus.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Incoming, header, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{Registry, TextEncoder};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};

/// Why the program is not ready; none when it is.
pub type Readiness = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// More connections than kubelets and scrapers have any use for wait their turn.
const CONNECTIONS_MAX: usize = 32;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Scrapes at once: each may have a thread of its own.
const SCRAPES_MAX: usize = 2;

/// What all connections share.
#[derive(Clone)]
struct Admin {
    registry: Registry,
    readiness: Readiness,
    scrapes: Arc<Semaphore>,
}

/// Serves `/healthz`, `/readyz` and `/metrics` until the task is dropped.
pub async fn serve(listener: TcpListener, registry: Registry, readiness: Readiness) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let admin = Admin { registry, readiness, scrapes: Arc::new(Semaphore::new(SCRAPES_MAX)) };
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "failed to accept on the admin port");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let admin = admin.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let admin = admin.clone();
                async move { Ok::<_, Infallible>(admin.answer(request.uri().path()).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an admin connection ended");
            }
            drop(place);
        });
    }
}

impl Admin {
    async fn answer(&self, path: &str) -> Response<Full<Bytes>> {
        match path {
            "/healthz" => text(StatusCode::OK, "ok\n".into()),
            "/readyz" => match (self.readiness)() {
                None => text(StatusCode::OK, "ready\n".into()),
                Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
            },
            "/metrics" => match self.metrics().await {
                Ok(metrics) => text(StatusCode::OK, metrics),
                Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")),
            },
            _ => text(StatusCode::NOT_FOUND, "this port has /healthz, /readyz and /metrics\n".into()),
        }
    }

    /// Those of all tables take a while, and what is measured when it is asked for may wait for a disk.
    async fn metrics(&self) -> anyhow::Result<String> {
        let scrape = self.scrapes.clone().acquire_owned().await?;
        let registry = self.registry.clone();
        tokio::task::spawn_blocking(move || {
            let _scrape = scrape;
            Ok(TextEncoder::new().encode_to_string(&registry.gather())?)
        })
        .await?
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{
        IntGauge,
        core::{Collector, Desc},
        proto::MetricFamily,
    };
    use std::sync::{Mutex, mpsc};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    /// Takes until it is told to end.
    struct Slow(IntGauge, Mutex<mpsc::Receiver<()>>);

    impl Collector for Slow {
        fn desc(&self) -> Vec<&Desc> {
            self.0.desc()
        }

        fn collect(&self) -> Vec<MetricFamily> {
            let told = self.1.lock().unwrap().recv_timeout(Duration::from_secs(10));
            self.0.set(i64::from(told.is_ok()));
            self.0.collect()
        }
    }

    async fn ask(address: std::net::SocketAddr, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn answer(mut stream: TcpStream) -> String {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Of one async worker, which the scrape would have to itself.
    #[tokio::test]
    async fn health_is_told_while_metrics_are_gathered() {
        let (end, ends) = mpsc::channel();
        let registry = Registry::new();
        let gauge = IntGauge::new("told_in_time", "Whether it was.").unwrap();
        registry.register(Box::new(Slow(gauge, Mutex::new(ends)))).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, registry, Arc::new(|| None)));
        let scrape = ask(address, "/metrics").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(answer(ask(address, "/healthz").await).await.ends_with("ok\n"));
        end.send(()).unwrap();
        assert!(answer(scrape).await.contains("told_in_time 1\n"));
    }
}
