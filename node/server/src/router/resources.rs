//! All resources of a kind that a namespace has, page by page.

use super::writes::answered;
use cairn_model::ServiceError;
use kube::{Api, api::ListParams};
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// Resources a call of the API server lists, and how many such calls are made before giving up.
const PAGE: u32 = 500;
const PAGES_MAX: usize = 100;

/// None where there are more than can be listed.
pub(super) async fn all<K: Clone + Debug + DeserializeOwned>(api: &Api<K>) -> Result<Option<Vec<K>>, ServiceError> {
    let mut params = ListParams::default().limit(PAGE);
    let mut all = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = answered(api.list(&params)).await?;
        all.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(Some(all)),
        }
    }
    Ok(None)
}
