//! Clients for the server that the environment names. What `aws-config` would read there is read here: it brings TLS, and clients
//! for other services, that nothing here needs.

use crate::expectations::Result;
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::{
    Client, Config,
    config::{AsyncSleep, BehaviorVersion, Region, SharedAsyncSleep, Sleep},
};
use std::{env, time::Duration};

/// The least that a waiter of this SDK waits between two looks, whatever one asks for.
const WAITERS_LEAST: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// One with the environment's credentials.
pub fn client() -> Result<Client> {
    with_secret(&variable("AWS_SECRET_ACCESS_KEY")?)
}

/// One with another secret.
pub fn with_secret(secret: &str) -> Result<Client> {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(variable("AWS_REGION")?))
        .endpoint_url(variable("AWS_ENDPOINT_URL")?)
        .credentials_provider(credentials(secret)?)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .sleep_impl(SharedAsyncSleep::new(ImpatientWaiters))
        .build();
    Ok(Client::from_conf(config))
}

/// One of the streams, with the environment's credentials.
pub fn streams() -> Result<aws_sdk_dynamodbstreams::Client> {
    let config = aws_sdk_dynamodbstreams::Config::builder()
        .behavior_version(aws_sdk_dynamodbstreams::config::BehaviorVersion::latest())
        .region(Region::new(variable("AWS_REGION")?))
        .endpoint_url(variable("AWS_ENDPOINT_URL")?)
        .credentials_provider(credentials(&variable("AWS_SECRET_ACCESS_KEY")?)?)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Ok(aws_sdk_dynamodbstreams::Client::from_conf(config))
}

fn credentials(secret: &str) -> Result<Credentials> {
    Ok(Credentials::new(variable("AWS_ACCESS_KEY_ID")?, secret, None, None, "environment"))
}

fn variable(name: &str) -> Result<String> {
    env::var(name).map_err(|error| format!("{name}: {error}").into())
}

/// Sleeps as long as it is told, but for waiters.
#[derive(Debug)]
struct ImpatientWaiters;

impl AsyncSleep for ImpatientWaiters {
    fn sleep(&self, duration: Duration) -> Sleep {
        let duration = if duration < WAITERS_LEAST { duration } else { LOOK_AGAIN };
        Sleep::new(tokio::time::sleep(duration))
    }
}
