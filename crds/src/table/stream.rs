//! The stream of a Table: what its spec asks for, and what its status says of the streams there are.

use super::{Table, definition::DefinitionError, recovery::millis_of_time, rules};
use crate::{rules::json, short_hash};
use cairn_model::{
    stream::{PAST_STREAMS_MAX, PastStream, Stream, Streams, enabled_at_ms, label},
    table::StreamViewType,
};
use kube::ResourceExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a stream that the API turned on begins, in milliseconds since the Unix epoch: its client was told already.
pub const STREAM_ENABLED_AT_ANNOTATION: &str = "cairn.dev/stream-enabled-at";
/// How far that time may be from the one at which the stream really begins.
const ENABLED_AT_ERROR_MS_MAX: u64 = 10 * 60 * 1_000;

/// A stream, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = json(rules::STREAM)))]
pub struct StreamSpecification {
    pub stream_enabled: bool,
    /// What the records show of an item; it can't change while the stream is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("enum" = ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"]))]
    pub stream_view_type: Option<StreamViewType>,
}

/// A stream, as it is: the one that is on, or one that was within the last 24 hours.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamStatus {
    /// When it was enabled, as in its ARN.
    #[schemars(length(max = 32))]
    pub stream_label: String,
    #[schemars(with = "String", extend("enum" = ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"]))]
    pub stream_view_type: StreamViewType,
    #[schemars(with = "String", extend("enum" = ["ENABLED", "DISABLED"]))]
    pub stream_status: StreamState,
    /// As the label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub disabled_at: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StreamState {
    Enabled,
    Disabled,
}

/// Of a table's status: those that are remembered, and the one that is on.
pub const STREAMS_MAX: usize = PAST_STREAMS_MAX + 1;

impl StreamSpecification {
    /// What the stream's records are to show; none while there is to be no stream.
    pub fn view_type(&self) -> Result<Option<StreamViewType>, DefinitionError> {
        match (self.stream_enabled, self.stream_view_type) {
            (true, Some(view_type)) => Ok(Some(view_type)),
            (false, None) => Ok(None),
            _ => Err(DefinitionError::Stream),
        }
    }

    pub fn of_view_type(stream_view_type: Option<StreamViewType>) -> Self {
        Self { stream_enabled: stream_view_type.is_some(), stream_view_type }
    }
}

impl StreamStatus {
    /// The oldest first.
    pub fn list(streams: &Streams) -> Vec<Self> {
        let status = |stream: Stream, disabled_at_ms: Option<u64>| Self {
            stream_label: label(stream.enabled_at_ms),
            stream_view_type: stream.view_type,
            stream_status: if disabled_at_ms.is_some() { StreamState::Disabled } else { StreamState::Enabled },
            disabled_at: disabled_at_ms.map(label),
        };
        let past = streams.past.iter().map(|past| status(past.stream, Some(past.disabled_at_ms)));
        past.chain(streams.current.map(|stream| status(stream, None))).collect()
    }

    /// The streams of a list; what can't be read of it is told.
    pub fn streams(list: &[Self]) -> Result<Streams, DefinitionError> {
        let time = |text: &str| {
            let invalid = || DefinitionError::Invalid { field: "status.streams", value: text.to_owned() };
            enabled_at_ms(text).ok_or_else(invalid)
        };
        let mut streams = Streams::default();
        for status in list {
            let stream = Stream { view_type: status.stream_view_type, enabled_at_ms: time(&status.stream_label)? };
            match &status.disabled_at {
                Some(disabled_at) => {
                    streams.past.push(PastStream { stream, disabled_at_ms: time(disabled_at)? });
                }
                None => streams.current = Some(stream),
            }
        }
        Ok(streams)
    }
}

impl Table {
    /// The table's streams once what the spec asks for is so. `known`: as they are; `now_ms`: when one that is not there yet
    /// begins, or one that is not asked for any more ends, where that is known.
    pub fn streams_asked(&self, known: Streams, now_ms: Option<u64>) -> Result<Streams, DefinitionError> {
        let asked = self.spec.stream_view_type()?;
        let mut streams = known;
        if streams.current.map(|stream| stream.view_type) == asked {
            return Ok(streams);
        }
        match asked {
            Some(view_type) => {
                if let Some(at_ms) = self.stream_enabled_at_ms(&streams, now_ms).or(now_ms) {
                    streams.enable(view_type, at_ms);
                }
            }
            None => {
                if let Some(now_ms) = now_ms {
                    streams.disable(now_ms);
                }
            }
        }
        Ok(streams)
    }

    /// When a stream begins that the manifest has from the start. Kubernetes tells the second in which the table was made, and in
    /// the same one a table of the name may have been there before: the uid tells their streams apart.
    pub fn stream_born_ms(&self) -> Option<u64> {
        let made_ms = self.creation_timestamp().as_ref().map(millis_of_time)?;
        let part_ms = u64::from_str_radix(&short_hash(&self.uid().unwrap_or_default()), 16).unwrap_or_default() % 1_000;
        // Before that second and not in it: nothing that is written is from before the stream.
        Some(made_ms.saturating_sub(part_ms))
    }

    /// When the API said that the stream begins, if that can be of the one that is to begin now.
    fn stream_enabled_at_ms(&self, known: &Streams, now_ms: Option<u64>) -> Option<u64> {
        let said_ms = self.annotations().get(STREAM_ENABLED_AT_ANNOTATION)?.parse().ok()?;
        let last_ms = known.past.iter().map(|past| past.disabled_at_ms.max(past.stream.enabled_at_ms));
        let is_later = last_ms.max().is_none_or(|last_ms| last_ms < said_ms);
        let is_near = now_ms.is_none_or(|now_ms| now_ms.abs_diff(said_ms) <= ENABLED_AT_ERROR_MS_MAX);
        (is_later && is_near).then_some(said_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::recovery::time_of_millis;

    const NOW_MS: u64 = 1_800_000_000_123;

    fn table(specification: &str, annotation: Option<u64>) -> Table {
        let annotations = annotation.map(|at| format!("annotations: {{{STREAM_ENABLED_AT_ANNOTATION}: '{at}'}}"));
        serde_yaml_ng::from_str(&format!(
            "apiVersion: cairn.dev/v1alpha1
kind: Table
metadata: {{name: users, namespace: game, {}}}
spec:
  attributeDefinitions: [{{attributeName: Id, attributeType: S}}]
  keySchema: [{{attributeName: Id, keyType: HASH}}]
  billingMode: PAY_PER_REQUEST
  {specification}",
            annotations.unwrap_or_default()
        ))
        .unwrap()
    }

    const ON: &str = "streamSpecification: {streamEnabled: true, streamViewType: NEW_IMAGE}";
    const OFF: &str = "streamSpecification: {streamEnabled: false}";

    fn on_since(enabled_at_ms: u64) -> Streams {
        let view_type = StreamViewType::NewImage;
        Streams { current: Some(Stream { view_type, enabled_at_ms }), past: Vec::new() }
    }

    #[test]
    fn streams_of_tables_that_were_made_in_one_second_are_told_apart() {
        let born = |uid: &str| {
            let mut table = table(ON, None);
            table.metadata.uid = Some(uid.to_owned());
            table.metadata.creation_timestamp = Some(time_of_millis(1_700_000_000_000));
            table.stream_born_ms().unwrap()
        };
        let [one, other] = ["089b646c-1940-44f8-97bb-9308ee7df5b2", "e6eca2c2-9540-451b-baf2-50566a6973d0"].map(born);
        assert_ne!(one, other);
        assert!([one, other].iter().all(|born_ms| (1_699_999_999_001..=1_700_000_000_000).contains(born_ms)));
        assert_eq!(table(ON, None).stream_born_ms(), None);
    }

    #[test]
    fn a_stream_that_is_asked_for_begins_once_and_ends_when_it_is_not_asked_for_any_more() {
        let begun = table(ON, None).streams_asked(Streams::default(), Some(NOW_MS)).unwrap();
        assert_eq!(begun, on_since(NOW_MS));
        assert_eq!(table(ON, None).streams_asked(begun.clone(), Some(NOW_MS + 5)).unwrap(), begun);
        assert_eq!(table(OFF, None).streams_asked(begun.clone(), None).unwrap(), begun, "not known yet since when");
        let ended = table("", None).streams_asked(begun, Some(NOW_MS + 9)).unwrap();
        assert_eq!((ended.current, ended.past[0].disabled_at_ms), (None, NOW_MS + 9));
    }

    #[test]
    fn a_stream_begins_when_the_api_said_so_unless_that_was_another() {
        let said = table(ON, Some(NOW_MS - 700));
        for now_ms in [Some(NOW_MS), None] {
            assert_eq!(said.streams_asked(Streams::default(), now_ms).unwrap(), on_since(NOW_MS - 700));
        }
        let mut past = on_since(NOW_MS - 700);
        past.disable(NOW_MS - 500);
        let second = said.streams_asked(past, Some(NOW_MS)).unwrap();
        assert_eq!(second.current, on_since(NOW_MS).current);
        let long_ago = table(ON, Some(NOW_MS - 24 * 3_600_000)).streams_asked(Streams::default(), Some(NOW_MS));
        assert_eq!(long_ago.unwrap(), on_since(NOW_MS));
    }

    #[test]
    fn a_stream_has_a_view_type_and_no_stream_has_none() {
        let error = Err(DefinitionError::Stream);
        let more = ["{streamEnabled: true}", "{streamEnabled: false, streamViewType: NEW_IMAGE}"];
        for specification in more.map(|more| format!("streamSpecification: {more}")) {
            assert_eq!(table(&specification, None).spec.stream_view_type(), error, "{specification}");
        }
    }

    #[test]
    fn streams_survive_the_way_through_a_status() {
        let mut streams = on_since(NOW_MS);
        streams.enable(StreamViewType::KeysOnly, NOW_MS + 5);
        let list = StreamStatus::list(&streams);
        assert_eq!(
            (list[0].stream_status, list[0].stream_label.as_str()),
            (StreamState::Disabled, "2027-01-15T08:00:00.123")
        );
        assert_eq!(StreamStatus::streams(&list), Ok(streams));
        let damaged = StreamStatus { stream_label: "yesterday".into(), ..list[0].clone() };
        assert!(StreamStatus::streams(&[damaged]).is_err());
    }
}
