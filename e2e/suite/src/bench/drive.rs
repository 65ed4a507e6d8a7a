//! Sends prepared requests over many connections and counts the answers, with as little work of its own as can be.

use crate::client::now;
use anyhow::{Context, Result, bail, ensure};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::Instant,
};

const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Each connection sends one request after the other; an answer that is no success is an error.
pub(super) async fn requests_per_second(
    authority: &str,
    requests: Vec<Vec<u8>>,
    connections: usize,
    duration: Duration,
) -> Result<f64> {
    let requests = Arc::new(requests);
    let start = now();
    let mut tasks = JoinSet::new();
    for connection in 0..connections {
        let first = connection * requests.len() / connections;
        tasks.spawn(one_connection(authority.to_owned(), requests.clone(), first, start + duration));
    }
    let mut answers = 0_u64;
    while let Some(count) = tasks.join_next().await {
        answers += count??;
    }
    Ok(answers as f64 / start.elapsed().as_secs_f64())
}

async fn one_connection(authority: String, requests: Arc<Vec<Vec<u8>>>, first: usize, end: Instant) -> Result<u64> {
    let mut stream =
        TcpStream::connect(&authority).await.with_context(|| format!("failed to connect to {authority}"))?;
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(8 << 10);
    let mut answers = 0;
    for request in requests.iter().cycle().skip(first) {
        if now() >= end {
            break;
        }
        stream.write_all(request).await?;
        read_answer(&mut stream, &mut buffer).await?;
        answers += 1;
    }
    Ok(answers)
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
    ensure!(buffer.starts_with(b"HTTP/1.1 200"), "not a success: {}", String::from_utf8_lossy(buffer));
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
