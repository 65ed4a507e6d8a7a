//! Sends prepared requests over many connections and times the answers, with as little work of its own as can be.

use crate::client::now;
use anyhow::{Context, Result, bail, ensure};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::Instant,
};

/// A page of 1 MB, in JSON.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// What is sent, and for how long: each connection sends its share of the requests one after the other, so that no two ask for
/// the same at a time.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) authority: String,
    /// As they go over the wire.
    pub(super) requests: Arc<Vec<Vec<u8>>>,
    pub(super) connections: usize,
    pub(super) duration: Duration,
    /// The status that every answer has to have.
    pub(super) status: u16,
    /// Whether each request is sent at most once, which ends before the duration when there are no more.
    pub(super) once: bool,
}

/// How long each answer took.
#[derive(Debug)]
pub(super) struct Answers {
    /// In ascending order.
    micros: Vec<u32>,
    took: Duration,
}

impl Answers {
    pub(super) fn count(&self) -> usize {
        self.micros.len()
    }

    pub(super) fn per_second(&self) -> f64 {
        self.micros.len() as f64 / self.took.as_secs_f64()
    }

    /// Milliseconds that this share of the answers took at most.
    pub(super) fn percentile_ms(&self, share: f64) -> f64 {
        let last = self.micros.len().saturating_sub(1);
        let at = (self.micros.len() as f64 * share) as usize;
        self.micros.get(at.min(last)).map_or(f64::NAN, |micros| f64::from(*micros) / 1e3)
    }
}

/// An answer of another status is an error.
pub(super) async fn send(load: &Load) -> Result<Answers> {
    let start = now();
    let mut tasks = JoinSet::new();
    for connection in 0..load.connections {
        tasks.spawn(one_connection(load.clone(), connection, start + load.duration));
    }
    let mut micros = Vec::new();
    while let Some(own) = tasks.join_next().await {
        micros.append(&mut own??);
    }
    let took = start.elapsed();
    micros.sort_unstable();
    Ok(Answers { micros, took })
}

/// What a single request was answered with.
#[derive(Debug)]
pub(super) struct Single {
    pub(super) status: u16,
    pub(super) body_bytes: usize,
    /// Its beginning.
    pub(super) text: String,
}

pub(super) async fn once(authority: &str, request: &[u8]) -> Result<Single> {
    let mut stream =
        TcpStream::connect(authority).await.with_context(|| format!("failed to connect to {authority}"))?;
    let mut buffer = Vec::new();
    stream.write_all(request).await?;
    read_answer(&mut stream, &mut buffer).await?;
    let head = find(&buffer, b"\r\n\r\n").context("an answer without a head")?;
    let text = format!("{:.600}", String::from_utf8_lossy(&buffer));
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).context("an answer without a status")?;
    Ok(Single { status, body_bytes: buffer.len() - head - 4, text })
}

async fn one_connection(load: Load, connection: usize, end: Instant) -> Result<Vec<u32>> {
    let authority = &load.authority;
    let mut stream =
        TcpStream::connect(authority).await.with_context(|| format!("failed to connect to {authority}"))?;
    stream.set_nodelay(true)?;
    let status = format!("HTTP/1.1 {}", load.status);
    let first = connection * load.requests.len() / load.connections;
    let behind = (connection + 1) * load.requests.len() / load.connections;
    let own = &load.requests[first..behind];
    let count = if load.once { own.len() } else { usize::MAX };
    let mut buffer = Vec::with_capacity(8 << 10);
    let mut micros = Vec::new();
    for request in own.iter().cycle().take(count) {
        let sent = now();
        if sent >= end {
            break;
        }
        stream.write_all(request).await?;
        read_answer(&mut stream, &mut buffer).await?;
        ensure!(buffer.starts_with(status.as_bytes()), "not {status}: {:.600}", String::from_utf8_lossy(&buffer));
        micros.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(micros)
}

async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    let mut whole = None;
    while whole.is_none_or(|whole| buffer.len() < whole) {
        ensure!(buffer.len() < ANSWER_BYTES_MAX, "an answer without an end");
        if stream.read_buf(buffer).await? == 0 {
            bail!("the server closed the connection");
        }
        if whole.is_none()
            && let Some(head) = find(buffer, b"\r\n\r\n")
        {
            whole = Some(head + 4 + content_length(&buffer[..head])?);
        }
    }
    Ok(())
}

fn content_length(head: &[u8]) -> Result<usize> {
    let head = String::from_utf8_lossy(head);
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .context("an answer without content-length")
}

fn find(buffer: &[u8], pattern: &[u8]) -> Option<usize> {
    buffer.windows(pattern.len()).position(|window| window == pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_answers_in_order() {
        let answers = Answers { micros: (1..=200).map(|n| n * 1_000).collect(), took: Duration::from_secs(2) };
        assert_eq!((answers.percentile_ms(0.5), answers.percentile_ms(0.99)), (101.0, 199.0));
        assert_eq!((answers.per_second(), answers.percentile_ms(1.0)), (100.0, 200.0));
    }
}
