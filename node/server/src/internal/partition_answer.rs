//! What a partition answers, between a storage node and a router. Beside the answer's bytes, which programs of neighbouring versions
//! read, a header tells how large the item was that a failed condition met: that is what the write is charged for.

use bytes::Bytes;
use cairn_replication::{
    operation::PartitionError,
    wire::{self, PartitionAnswer, WireError},
};
use http_body_util::Full;
use hyper::{HeaderMap, Response};

/// Bytes, in decimal digits; absent where there are none.
const MET_BYTES_HEADER: &str = "cairn-met-bytes";

pub(crate) fn write(answer: &PartitionAnswer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(wire::encode_answer(answer)));
    if let Err(PartitionError::Service(error)) = answer
        && error.met_bytes > 0
    {
        response.headers_mut().insert(MET_BYTES_HEADER, error.met_bytes.into());
    }
    response
}

pub(crate) fn read(headers: &HeaderMap, body: Bytes) -> Result<PartitionAnswer, WireError> {
    let mut answer = wire::decode_answer(body)?;
    if let Err(PartitionError::Service(error)) = &mut answer {
        let told = headers.get(MET_BYTES_HEADER).and_then(|bytes| bytes.to_str().ok());
        error.met_bytes = told.and_then(|bytes| bytes.parse().ok()).unwrap_or_default();
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::{ErrorKind, ServiceError};

    #[test]
    fn a_failed_condition_tells_how_large_the_item_was_that_it_met() {
        for met_bytes in [0, 3_000] {
            let failed = ServiceError::new(ErrorKind::ConditionalCheckFailedException, "failed");
            let answer = Err(PartitionError::Service(ServiceError { met_bytes, ..failed }));
            let headers = write(&answer).into_parts().0.headers;
            assert_eq!(read(&headers, wire::encode_answer(&answer)), Ok(answer));
        }
    }

    #[test]
    fn a_node_that_does_not_tell_is_read_too() {
        let failed = ServiceError::new(ErrorKind::ConditionalCheckFailedException, "failed");
        let answer = Err(PartitionError::Service(failed));
        assert_eq!(read(&HeaderMap::new(), wire::encode_answer(&answer)), Ok(answer));
    }
}
